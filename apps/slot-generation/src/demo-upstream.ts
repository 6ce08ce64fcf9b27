import type { Slots } from "./slots-contract.ts";

export interface DemoUpstream {
  readonly baseUrl: string;
  stop(): Promise<void>;
}

/**
 * An OpenAI-compatible upstream on this machine that answers every request under the contract, so that
 * the AI path can be seen without a key.
 */
export async function startDemoUpstream(): Promise<DemoUpstream> {
  // Loaded on demand: nothing else needs it.
  const { LLMock } = await import("@copilotkit/aimock");
  const upstream = new LLMock({ host: "127.0.0.1", port: 0, journalMaxEntries: 1 });
  upstream.on({ endpoint: "chat" }, ({ messages }) => ({
    content: JSON.stringify(
      demoSlots(
        messages.map(({ content }) => (typeof content === "string" ? content : "")).join("\n"),
      ),
    ),
  }));
  await upstream.start();
  return { baseUrl: `${upstream.url}/v1`, stop: () => upstream.stop() };
}

function demoSlots(asked: string): Slots {
  const numberAfter = (name: string): number =>
    Number(new RegExp(`^${name}: (\\d+)$`, "m").exec(asked)?.[1] ?? 1);
  const count = numberAfter("Number of slots");
  const minutes = numberAfter("Minutes in all");
  const share = Math.floor(minutes / count);
  return {
    status: "OK",
    slots: Array.from({ length: count }, (_, index) => ({
      title: ["Recall", "Worked example", "Practice", "Review"][index % 4] ?? "Practice",
      minutes: index === 0 ? minutes - share * (count - 1) : share,
    })),
  };
}
