import { switchNames, type AdmissionStore, type Switches } from "@sluice/contract";
import {
  FakeClock,
  fakeAdmissionStore,
  fakeProvider,
  sampleAnswer,
  sampleFeature,
  textReply,
  valueReply,
  type FakeCall,
  type PendingToolCall,
  type SampleJob,
} from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import {
  createGuard,
  defineTool,
  memoryAdmission,
  staticFlags,
  type GuardOptions,
  type MemoryAdmissionOptions,
} from "./index.ts";

const job: SampleJob = { prompt: "p" };
const off = Object.fromEntries(switchNames.map((name) => [name, false])) as Switches;
const enforcing: Switches = { ...off, FF_ADMISSION_ENFORCE: true };

type GateSettings = NonNullable<
  GuardOptions<SampleJob, z.ZodType, z.ZodType, z.ZodType>["gates"]
>["admission"];

function bench(admission: AdmissionStore, gate: GateSettings = {}) {
  const provider = fakeProvider<SampleJob>({
    onCall: (call) => call.reply(valueReply(sampleAnswer)),
  });
  const guard = createGuard({
    ...sampleFeature,
    provider,
    flags: staticFlags({ sample_ai: { enabled: true } }),
    clock: new FakeClock(),
    admission,
    gates: { admission: gate },
    sinks: [() => undefined],
  });
  return { guard, ask: (switches?: Switches) => guard.decide(job, { subject: "ann", switches }) };
}

const one = (options: Omit<MemoryAdmissionOptions, "clock">) =>
  memoryAdmission({ ...options, clock: new FakeClock() });

const dimensions = [
  ["USER_IN_FLIGHT", { userInFlight: { limit: 1 } }, "ADMISSION_ENFORCE_USER_INFLIGHT"],
  ["GLOBAL_IN_FLIGHT", { globalInFlight: { limit: 1 } }, "ADMISSION_ENFORCE_GLOBAL_INFLIGHT"],
  [
    "MESSAGE_RATE",
    { messageRate: { count: 1, perMs: 60_000 } },
    "ADMISSION_ENFORCE_GLOBAL_MSG_RATE",
  ],
] as const;

const would = (reason: string) => ({ gate: "admission", verdict: "would_reject", reason });

describe("a request's switches", () => {
  it.each(dimensions)("enforce %s by its own switch, else only observe it", async (...row) => {
    const [reason, limit, name] = row;
    const { ask } = bench(one(limit));
    await ask(off);
    for (const switches of [off, enforcing, { ...off, [name]: true }]) {
      expect(await ask(switches)).toMatchObject({
        effect: "allow",
        trail: expect.arrayContaining([would(reason)]) as unknown,
      });
    }
    expect(await ask({ ...enforcing, [name]: true })).toMatchObject({ effect: "reject", reason });
  });

  it("are what decides, not the modes of the store and the gate", async () => {
    const limit = { limit: 1, mode: "shadow" } as const;
    const { ask } = bench(one({ userInFlight: limit }), { mode: "shadow" });
    await ask(off);
    expect(await ask()).toMatchObject({ effect: "allow" });
    const switches = { ...enforcing, ADMISSION_ENFORCE_USER_INFLIGHT: true };
    expect(await ask(switches)).toMatchObject({ effect: "reject", reason: "USER_IN_FLIGHT" });
  });

  it("bring back no gate that is off", async () => {
    const { ask } = bench(one({ userInFlight: { limit: 1 } }), { mode: "off" });
    const switches = { ...enforcing, ADMISSION_ENFORCE_USER_INFLIGHT: true };
    await ask(switches);
    expect(await ask(switches)).toMatchObject({ effect: "allow" });
  });

  it.each([
    [true, { effect: "reject", reason: "STORE_UNAVAILABLE" }],
    [false, { effect: "allow" }],
  ])("with FF_FAIL_CLOSED_ON_REDIS_ERROR %s say what a lost store means", async (...row) => {
    const [closed, expected] = row;
    const store = fakeAdmissionStore({ limit: 1, onAcquire: (pending) => pending.unavailable() });
    // The gate's own word is the opposite.
    const { ask } = bench(store, { onIndeterminate: closed ? "open" : "closed" });
    const switches = { ...enforcing, FF_FAIL_CLOSED_ON_REDIS_ERROR: closed };
    expect(await ask(switches)).toMatchObject(expected);
    expect((await ask()).effect).not.toBe(expected.effect);
  });

  it("that are not given leave the question to the store as it was", async () => {
    const asks: unknown[] = [];
    const store = fakeAdmissionStore({
      limit: 9,
      onAcquire(pending) {
        asks.push(pending.ask);
        pending.answer();
      },
    });
    const { ask } = bench(store);
    await ask();
    await ask(off);
    expect(asks[0]).toBeUndefined();
    expect(asks[1]).toMatchObject({ modes: { user_in_flight: "shadow", tool_rate: "shadow" } });
  });

  it.each([
    [off, "open", "shadow"],
    [enforcing, "open", "shadow"],
    [{ ...enforcing, ADMISSION_ENFORCE_GLOBAL_TOOL_RATE: true }, "open", "enforce"],
    [{ ...enforcing, FF_FAIL_CLOSED_ON_REDIS_ERROR: true }, "closed", "shadow"],
  ] as const)("decide on the tool rate too: %#", async (switches, lost, mode) => {
    const tools: PendingToolCall[] = [];
    const store = fakeAdmissionStore({
      limit: 9,
      onAcquire: (pending) => pending.answer(),
      onTakeTool(pending) {
        tools.push(pending);
        pending.answer("unavailable");
      },
    });
    const outputs: unknown[] = [];
    const call = { id: "c1", name: "look", arguments: "{}" };
    const guard = createGuard({
      ...sampleFeature,
      provider: fakeProvider<SampleJob>({
        onCall(made: FakeCall<SampleJob>) {
          const results = made.asked.steps.flatMap((step) => step.results);
          outputs.push(...results.map(({ output }) => output));
          if (results.length > 0) made.reply(valueReply(sampleAnswer));
          else made.reply({ ok: true, output: { kind: "text", text: "" }, toolCalls: [call] });
        },
      }),
      flags: staticFlags({ sample_ai: { enabled: true } }),
      clock: new FakeClock(),
      admission: store,
      tools: {
        look: defineTool({ description: "Looks.", input: z.object({}), run: () => "seen" }),
      },
      sinks: [() => undefined],
    });
    await guard.run(job, { subject: "ann", switches });
    expect(tools.map((pending) => pending.mode)).toEqual([mode]);
    const refused = '{"error":"STORE_UNAVAILABLE"}';
    expect(outputs).toEqual([lost === "closed" ? refused : '"seen"']);
  });

  it("decide on shared budgets too, also for the further calls of a request", async () => {
    const price = { inputNanoUsdPerToken: 1, outputNanoUsdPerToken: 1 };
    const asked = async (switches: Switches): Promise<unknown> => {
      let calls = 0;
      const guard = createGuard({
        ...sampleFeature,
        provider: fakeProvider<SampleJob>({
          model: "m",
          onCall(call) {
            calls += 1;
            call.reply(calls === 1 ? textReply("no json") : valueReply(sampleAnswer));
          },
        }),
        flags: staticFlags({ sample_ai: { enabled: true } }),
        clock: new FakeClock(),
        prices: { m: price },
        budget: { maxOutputTokens: 10 },
        admission: one({ globalBudget: { calls: 1 } }),
        sinks: [() => undefined],
      });
      const first = await guard.run(job, { subject: "ann", switches });
      const second = await guard.run(job, { subject: "ann", switches });
      return [first.status, second.status];
    };
    expect(await asked(off)).toEqual(["FAILED", "SUCCEEDED"]);
    expect(await asked(enforcing)).toEqual(["FAILED", "REJECTED"]);
  });
});

describe("the switches of a guard", () => {
  it("are those of its flag source, read live", () => {
    const values: Partial<Switches> = { FF_ADMISSION_ENFORCE: true };
    const guard = createGuard({
      ...sampleFeature,
      provider: fakeProvider<SampleJob>(),
      flags: staticFlags({ sample_ai: { enabled: true } }, { switches: values }),
      sinks: [() => undefined],
    });
    expect(guard.switches()).toMatchObject({
      FF_ADMISSION_ENFORCE: true,
      FF_CHAT_GATEWAY_ENABLED: false,
    });
    guard.close();
  });
});
