import { setImmediate as turn } from "node:timers/promises";
import {
  switchNames,
  type AdmissionStore,
  type MetricSample,
  type Switches,
} from "@sluice/contract";
import { createGuard, defineContract, staticFlags } from "@sluice/guard";
import { FakeClock, fakeProvider, type FakeProvider } from "@sluice/testkit";
import { z } from "zod";
import type { ChatInput } from "./chat-input.ts";
import { createChatGateway } from "./gateway.ts";
import type { GatewayOptions } from "./gateway-options.ts";

export const chatContract = defineContract({
  ok: z.object({ status: z.literal("OK"), reply: z.string().min(1) }),
  failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
  stub: z.object({ status: z.literal("STUB"), reply: z.string() }),
  text: { field: "reply", maxChars: 10_000 },
});

export const hello = { messages: [{ role: "user", content: "hello" }] } as const;

export const switchesOf = (on: Partial<Switches> = {}): Switches => ({
  ...(Object.fromEntries(switchNames.map((name) => [name, false])) as Switches),
  ...on,
});

type Ok = z.output<typeof chatContract.ok>;
type Failed = z.output<typeof chatContract.failed>;
type Stub = z.output<typeof chatContract.stub>;
export type ChatOptions = Partial<GatewayOptions<ChatInput, Ok, Failed, Stub>>;

/** A chat behind the gateway, whose model a test holds the other end of. */
export function openChat(
  guarding: {
    readonly on?: Partial<Switches>;
    readonly enabled?: boolean;
    readonly admission?: AdmissionStore;
    readonly onFailure?: "failed" | "stub";
    /** Default: it streams, and waits for the test. */
    readonly provider?: FakeProvider<ChatInput>;
  } = {},
  options: ChatOptions = {},
) {
  const { on = {}, enabled = true, admission, onFailure = "failed" } = guarding;
  const clock = new FakeClock();
  const samples: MetricSample[] = [];
  const provider = guarding.provider ?? fakeProvider<ChatInput>({ model: "model", streams: true });
  let stubs = 0;
  const guard = createGuard({
    feature: "chat_ai",
    contract: chatContract,
    failed: ({ code }) => ({ status: "FAILED", code }),
    stub: (_chat: ChatInput) => {
      stubs += 1;
      return { status: "STUB", reply: "the stub" };
    },
    provider,
    flags: staticFlags({ chat_ai: { enabled } }, { switches: on }),
    onFailure,
    ...(admission !== undefined && { admission }),
    retry: { maxRetries: 0 },
    budget: { callsPerRun: 100, maxOutputTokens: 100 },
    prices: { model: { inputNanoUsdPerToken: 1, outputNanoUsdPerToken: 1 } },
    metrics: (sample) => void samples.push(sample),
    openTelemetry: false,
    clock,
  });
  const gateway = createChatGateway({ guard, clock, ...options });
  const call = (parts: Partial<Parameters<typeof gateway.answer>[0]> = {}) => ({
    body: hello,
    accept: undefined,
    subject: "alice",
    request: () => ({}),
    switches: switchesOf(on),
    hasLegacy: true,
    ...parts,
  });
  return {
    clock,
    guard,
    gateway,
    provider,
    call,
    stubs: () => stubs,
    /** Samples so far, of one kind. */
    of: async <K extends MetricSample["kind"]>(kind: K) => {
      // Samples are handed out in a turn of their own.
      await turn();
      return samples.filter(
        (sample): sample is Extract<MetricSample, { kind: K }> => sample.kind === kind,
      );
    },
  };
}
