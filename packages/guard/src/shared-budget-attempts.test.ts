import {
  defineContract,
  type AdmissionStore,
  type ProviderReply,
  type SharedReservation,
} from "@sluice/contract";
import {
  delta,
  errorReply,
  FakeClock,
  fakeProvider,
  sampleAnswer,
  sampleFeature,
  valueReply,
  type FakeProvider,
  type SampleJob,
} from "@sluice/testkit";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { createGuard, memoryAdmission, staticFlags } from "./index.ts";

// The breaker's library knows no clock but the process's timers.
beforeAll(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
});
afterAll(() => {
  vi.useRealTimers();
});

const job: SampleJob = { prompt: "p" };
const request = { subject: "ann" };
const usage = { inputTokens: 7, outputTokens: 13 };
const good = valueReply(sampleAnswer, usage);
const down = errorReply("PROVIDER_UNAVAILABLE");
const prices = {
  cheap: { inputNanoUsdPerToken: 1, outputNanoUsdPerToken: 1 },
  dear: { inputNanoUsdPerToken: 10, outputNanoUsdPerToken: 100 },
};
const tokens = 1000;
const costNanoUsd = 100_000;

/** Money for the subject and tokens for all, so that each can be looked at. */
const memory = (clock: FakeClock, caps: { tokens?: number; costNanoUsd?: number } = {}) =>
  memoryAdmission({
    userBudget: { costNanoUsd: caps.costNanoUsd ?? costNanoUsd },
    globalBudget: { tokens: caps.tokens ?? tokens },
    clock,
  });

/** What both are charged with. */
function spent(store: AdmissionStore) {
  const reply = store.acquire("ann");
  if (reply instanceof Promise || reply === "unavailable") throw new Error("no answer");
  if (reply.admitted) reply.lease.release();
  const [money, all] = (reply.states ?? []).map(({ limit, remaining }) => limit - remaining);
  return { costNanoUsd: money, tokens: all };
}

function bench(
  providers: readonly FakeProvider<SampleJob>[],
  more: {
    readonly caps?: { tokens?: number; costNanoUsd?: number };
    readonly over?: (store: AdmissionStore) => AdmissionStore;
    readonly onIndeterminate?: "open" | "closed";
    readonly maxRetries?: number;
    readonly minCalls?: number;
  } = {},
) {
  const clock = new FakeClock();
  const store = memory(clock, more.caps);
  const guard = createGuard({
    ...sampleFeature,
    route: {
      providers,
      candidates: providers.map(({ name }) => ({ provider: name })),
      strategy: "failover",
      failover: true,
    },
    flags: staticFlags({ sample_ai: { enabled: true } }),
    clock,
    prices,
    admission: more.over?.(store) ?? store,
    budget: { callsPerRun: 1000, maxOutputTokens: 100 },
    gates: { admission: { onIndeterminate: more.onIndeterminate ?? "closed" } },
    breaker: { minCalls: more.minCalls ?? 1000 },
    retry: { maxRetries: more.maxRetries ?? 0, budgetRatio: 1 },
    random: () => 0,
    sinks: [() => undefined],
  });
  const run = async () => {
    const running = guard.run(job, request);
    await clock.advanceAsync(0);
    return running;
  };
  return { guard, clock, run, spent: () => spent(store) };
}

/** Gives its replies in their order, the last one again and again; without one it hangs. */
function scripted(name: string, model: string, ...replies: readonly ProviderReply[]) {
  const left = [...replies];
  return fakeProvider<SampleJob>({
    name,
    model,
    inputTokens: () => 10,
    onCall(call) {
      const reply = left.length > 1 ? left.shift() : left[0];
      if (reply !== undefined) call.reply(reply);
    },
  });
}

describe("I3 a shared budget over several attempts", () => {
  it("sets a further one aside at the price of the candidate that stands in, and settles each at its own", async () => {
    const first = scripted("first", "cheap", errorReply("PROVIDER_UNAVAILABLE", { usage }));
    const second = scripted("second", "dear");
    const { guard, clock, spent: charged } = bench([first, second]);
    const running = guard.run(job, request);
    await clock.advanceAsync(0);
    expect(charged()).toEqual({ tokens: 20 + 110, costNanoUsd: 20 + 100 + 10_000 });
    second.last().reply(good);
    expect(await running).toMatchObject({ status: "SUCCEEDED", record: { fallbackUsed: true } });
    expect(charged()).toEqual({ tokens: 20 + 20, costNanoUsd: 20 + 70 + 1300 });
  });

  it("sets a retry aside too, and keeps the first charged where it told no usage", async () => {
    const provider = scripted("only", "cheap", down, good);
    const { run, spent: charged } = bench([provider], { maxRetries: 1 });
    expect(await run()).toMatchObject({ status: "SUCCEEDED" });
    expect(provider.calls).toHaveLength(2);
    expect(charged()).toEqual({ tokens: 110 + 20, costNanoUsd: 110 + 20 });
  });

  it("sets the first aside anew, at the other's price, where the circuit of the first choice is open", async () => {
    const first = scripted("first", "cheap", down);
    const second = scripted("second", "dear", good);
    const { run, spent: charged } = bench([first, second], { minCalls: 1 });
    await run();
    const before = charged();
    expect(await run()).toMatchObject({ status: "SUCCEEDED" });
    expect(first.calls).toHaveLength(1);
    expect(charged()).toEqual({
      tokens: (before.tokens ?? 0) + 20,
      costNanoUsd: (before.costNanoUsd ?? 0) + 70 + 1300,
    });
  });

  it("lowers the output of a further one to what is left", async () => {
    const provider = scripted("only", "cheap", down, good);
    const { run } = bench([provider], { maxRetries: 1, caps: { tokens: 150 } });
    await run();
    expect(provider.calls.map(({ asked }) => asked.maxOutputTokens)).toEqual([100, 30]);
  });

  it.each([
    ["tokens", { tokens: 130 }],
    ["money for the other's price", { costNanoUsd: 1000 }],
  ])("leaves the first failure without %s for a further one, and says why", async (_, caps) => {
    const first = scripted("first", "cheap", down);
    const second = scripted("second", "dear", good);
    const { guard, run, spent: charged } = bench([first, second], { caps });
    expect(await run()).toMatchObject({
      status: "FAILED",
      failure: { code: "PROVIDER_UNAVAILABLE" },
      record: { skipped: [{ provider: "second", why: "budget" }] },
    });
    expect(second.calls).toEqual([]);
    expect(charged()).toEqual({ tokens: 110, costNanoUsd: 110 });
    expect(guard.inFlight).toBe(0);
  });
});

/** A store that answers its first call, and no further one. */
const lost: readonly (readonly [string, SharedReservation["further"]])[] = [
  ["says that it can't tell", () => "unavailable"],
  ["says so later", () => Promise.resolve("unavailable" as const)],
  [
    "throws",
    () => {
      throw new Error("planted");
    },
  ],
  ["rejects", () => Promise.reject(new Error("planted"))],
];

const losing =
  (further: SharedReservation["further"]) =>
  (store: AdmissionStore): AdmissionStore => ({
    ...store,
    acquire(subject, ask) {
      const reply = store.acquire(subject, ask);
      if (reply instanceof Promise || reply === "unavailable" || !reply.admitted) return reply;
      const { reservation } = reply;
      return reservation === undefined
        ? reply
        : { ...reply, reservation: { ...reservation, further } };
    },
  });

describe("a store of shared budgets that can't answer for a further attempt", () => {
  it.each(lost)("and %s keeps the first failure where it is closed", async (_, further) => {
    const first = scripted("first", "cheap", down);
    const second = scripted("second", "cheap", good);
    const { guard, run, spent: charged } = bench([first, second], { over: losing(further) });
    expect(await run()).toMatchObject({
      status: "FAILED",
      failure: { code: "PROVIDER_UNAVAILABLE" },
      record: { skipped: [{ provider: "second", why: "budget" }] },
    });
    expect(second.calls).toEqual([]);
    // The attempt that was made stays charged; the one that was not is charged nowhere.
    expect(charged()).toEqual({ tokens: 110, costNanoUsd: 110 });
    expect(guard.inFlight).toBe(0);
  });

  it.each(lost)(
    "and %s sends a request that had no attempt to the safe path",
    async (_, further) => {
      const first = scripted("first", "cheap", down);
      const second = scripted("second", "cheap", good);
      const {
        guard,
        run,
        spent: charged,
      } = bench([first, second], {
        over: losing(further),
        minCalls: 1,
      });
      await run();
      const before = charged();
      expect(await run()).toMatchObject({
        status: "STUBBED",
        reason: "STORE_UNAVAILABLE",
        record: { attempts: [] },
      });
      expect(second.calls).toEqual([]);
      expect(charged()).toEqual(before);
      expect(guard.inFlight).toBe(0);
    },
  );

  it.each(lost)("and %s stops nothing where it is open", async (_, further) => {
    const first = scripted("first", "cheap", down);
    const second = scripted("second", "cheap", good);
    const { run } = bench([first, second], { over: losing(further), onIndeterminate: "open" });
    expect(await run()).toMatchObject({
      status: "SUCCEEDED",
      record: { selectedProvider: "first", fallbackProvider: "second" },
    });
  });
});

describe("I3 what a stream is charged to a shared budget", () => {
  const contract = defineContract({
    ok: z.object({ status: z.literal("OK"), text: z.string() }),
    failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
    stub: z.object({ status: z.literal("STUB"), text: z.string() }),
    text: { field: "text", maxChars: 10_000 },
  });

  /** It has shown so many characters. A prompt is 10 tokens, and the output at most 100 or what is left. */
  async function streaming(chars: number, capTokens = 10_000) {
    const clock = new FakeClock();
    const provider = fakeProvider<SampleJob>({ streams: true, inputTokens: () => 10 });
    const store = memoryAdmission({
      userBudget: { tokens: capTokens },
      globalBudget: { tokens: 10_000 },
      clock,
    });
    const guard = createGuard({
      ...sampleFeature,
      contract,
      provider,
      flags: staticFlags({ sample_ai: { enabled: true } }),
      clock,
      admission: store,
      budget: { callsPerRun: 1000, maxOutputTokens: 100 },
      retry: { maxRetries: 0 },
      sinks: [() => undefined],
    });
    const stream = guard.stream(job, request);
    await clock.advanceAsync(0);
    if (chars > 0) provider.last().emit(delta("x".repeat(chars)));
    await clock.advanceAsync(0);
    const charged = async (): Promise<number | undefined> => {
      await stream.outcome;
      return spent(store).tokens;
    };
    return { guard, clock, stream, call: provider.last(), charged };
  }

  it.each([
    ["nothing was seen", 0, 10],
    ["some was seen", 25, 10 + 25],
    ["more was seen than was set aside", 800, 110],
  ])("where it is cancelled is the prompt and what was streamed: %s", async (_, chars, charge) => {
    const byReader = await streaming(chars);
    byReader.stream.cancel();
    expect(await byReader.charged()).toBe(charge);
    const byKill = await streaming(chars);
    byKill.guard.kill();
    expect(await byKill.charged()).toBe(charge);
  });

  it.each([
    ["was set aside", 40, 110],
    ["was seen, where that is more", 800, 10 + 200],
  ])("where it breaks off and tells no usage is what %s", async (_, chars, charge) => {
    const { call, charged } = await streaming(chars);
    call.cut();
    expect(await charged()).toBe(charge);
  });

  it("is bounded by what was granted, where that is less than was asked for", async () => {
    const cancelled = await streaming(800, 60);
    cancelled.stream.cancel();
    expect(await cancelled.charged()).toBe(60);
    const cut = await streaming(40, 60);
    cut.call.cut();
    expect(await cut.charged()).toBe(60);
    const untold = await streaming(40, 60);
    untold.call.emit({ type: "finish" });
    expect(await untold.charged()).toBe(60);
  });
});
