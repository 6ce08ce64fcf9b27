import { LLMock } from "@copilotkit/aimock";

export interface LocalUpstream {
  readonly baseUrl: string;
  /** From now on every call fails, or none does. */
  breakDown(broken: boolean): void;
  stop(): Promise<void>;
}

/** As a model writes: a few characters at a time. */
const pace = { latency: 20, chunkSize: 4 };

/** An OpenAI-compatible server on this machine, so that the AI path can be seen without a key. */
export async function startLocalUpstream(name: string): Promise<LocalUpstream> {
  const server = new LLMock({ host: "127.0.0.1", port: 0, journalMaxEntries: 100, ...pace });
  server.onMessage(/[\s\S]*/, ({ messages }) => {
    const words = wordsOf(messages.at(-1)?.content);
    return {
      content: `The ${name} local model read ${words} words. Set OPENAI_API_KEY to hear a real one.`,
    };
  });
  await server.start();
  return {
    baseUrl: `${server.url}/v1`,
    breakDown(broken) {
      if (broken) server.setChaos({ dropRate: 1 });
      else server.clearChaos();
    },
    stop: () => server.stop(),
  };
}

function wordsOf(content: unknown): number {
  return typeof content === "string"
    ? content.split(/\s+/).filter((word) => word !== "").length
    : 0;
}
