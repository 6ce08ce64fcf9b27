import { LLMock } from "@copilotkit/aimock";

export interface LocalUpstream {
  readonly baseUrl: string;
  /** From now on every call fails, or none does. */
  breakDown(broken: boolean): void;
  stop(): Promise<void>;
}

/** As a model writes: a few characters at a time. */
const pace = { latency: 20, chunkSize: 4 };

const asksForHours = /\b(?:open|opens|opening|hours|closed|close)\b/i;
const namedDay = /\b(?:mon|tues|wednes|thurs|fri|satur|sun)day/i;

/** An OpenAI-compatible server on this machine, so that the AI path can be seen without a key. */
export async function startLocalUpstream(name: string): Promise<LocalUpstream> {
  const server = new LLMock({ host: "127.0.0.1", port: 0, journalMaxEntries: 100, ...pace });
  server.onMessage(/[\s\S]*/, ({ messages, tools }) => {
    const last = messages.at(-1);
    const text = typeof last?.content === "string" ? last.content : "";
    if (last?.role === "tool") return { content: `The shop's hours, as the tool tells: ${text}` };
    if (tools !== undefined && asksForHours.test(text)) {
      const day = namedDay.exec(text)?.[0].toLowerCase() ?? "monday";
      return { toolCalls: [{ name: "opening_hours", arguments: JSON.stringify({ day }) }] };
    }
    return {
      content: `The ${name} local model read ${wordsOf(text)} words. Set OPENAI_API_KEY to hear a real one.`,
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

const wordsOf = (text: string): number => text.split(/\s+/).filter((word) => word !== "").length;
