import { LLMock } from "@copilotkit/aimock";

export interface LocalUpstream {
  readonly baseUrl: string;
  stop(): Promise<void>;
}

/** An OpenAI-compatible server on this machine, so that the AI path can be seen without a key. */
export async function startLocalUpstream(): Promise<LocalUpstream> {
  const server = new LLMock({ host: "127.0.0.1", port: 0, journalMaxEntries: 100 });
  server.onMessage(/[\s\S]*/, ({ messages }) => {
    const words = wordsOf(messages.at(-1)?.content);
    return {
      content: JSON.stringify({
        status: "OK",
        reply: `The local model read ${words} words. Set OPENAI_API_KEY to hear a real one.`,
      }),
    };
  });
  await server.start();
  return { baseUrl: `${server.url}/v1`, stop: () => server.stop() };
}

function wordsOf(content: unknown): number {
  return typeof content === "string"
    ? content.split(/\s+/).filter((word) => word !== "").length
    : 0;
}
