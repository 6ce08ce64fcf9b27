import { LLMock } from "@copilotkit/aimock";

/** As a model writes: a few characters at a time. */
const pace = { latency: 20, chunkSize: 4 };

/**
 * An OpenAI-compatible server on this machine, so that the AI path can be seen without a key. It lives as
 * long as the process.
 */
export async function startLocalUpstream(): Promise<string> {
  const server = new LLMock({ host: "127.0.0.1", port: 0, journalMaxEntries: 100, ...pace });
  server.onMessage(/[\s\S]*/, ({ messages }) => {
    const asked = messages.at(-1)?.content;
    const words = typeof asked === "string" ? asked.split(/\s+/).filter(Boolean).length : 0;
    return {
      content: `The local model read ${words} words. Set OPENAI_API_KEY to hear a real one.`,
    };
  });
  await server.start();
  return `${server.url}/v1`;
}
