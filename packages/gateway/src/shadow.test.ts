import { memoryAdmission } from "@sluice/guard";
import { errorReply, fakeProvider, textReply, type FakeCall } from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import type { ChatInput } from "./chat-input.ts";
import { hello, openChat, switchesOf, type ChatOptions } from "./open-chat-for-tests.ts";
import type { LegacyAnswer } from "./parity.ts";
import type { WatchedCall } from "./watched-call.ts";

const on = {
  FF_CHAT_GATEWAY_ENABLED: true,
  FF_CHAT_GATEWAY_SHADOW: true,
  FF_ADMISSION_ENFORCE: true,
};

const legacyAnswer: LegacyAnswer = {
  status: 200,
  contentType: "application/json",
  body: new TextEncoder().encode(JSON.stringify({ status: "OK", reply: "a legacy reply" })),
  complete: true,
  latencyMs: 40,
};

const watched = (parts: Partial<WatchedCall<ChatInput>> = {}): WatchedCall<ChatInput> => ({
  accept: undefined,
  subject: () => "alice",
  request: () => ({}),
  switches: switchesOf(on),
  copied: Promise.resolve({ parse: async () => ({ body: hello }) }),
  legacy: Promise.resolve(legacyAnswer),
  ...parts,
});

const problem = { type: "about:blank", title: "" } as const;

const mirroring = { mirrorShare: 1, costNanoUsdPerDay: 1e12 } as const;

const open = (shadow: ChatOptions["shadow"] = {}, more: Parameters<typeof openChat>[0] = {}) => {
  const chat = openChat({ on, ...more }, { shadow });
  /** What the shadow has kept back is done. */
  const passes = async (): Promise<void> => {
    await chat.clock.advanceAsync(50);
    await chat.clock.advanceAsync(0);
  };
  const begin = async (parts?: Partial<WatchedCall<ChatInput>>): Promise<void> =>
    chat.gateway.shadow.ticket()?.watch(watched(parts));
  const watch = async (parts?: Partial<WatchedCall<ChatInput>>): Promise<void> => {
    const watching = begin(parts);
    await passes();
    await watching;
  };
  return { ...chat, begin, watch, passes, shadow: chat.gateway.shadow };
};

const answers = (call: FakeCall<ChatInput>): void => call.reply(textReply("a mirrored reply"));
const answering = () => fakeProvider<ChatInput>({ model: "model", onCall: answers });

describe("the shadow's checks", () => {
  it("tell what the gates would have said, and call nobody", async () => {
    const { watch, of, provider, guard } = open();
    await watch();
    expect(await of("check")).toMatchObject([{ arm: "shadow", effect: "allow" }]);
    expect(provider.calls).toHaveLength(0);
    expect(guard.inFlight).toBe(0);
  });

  it("count a request for as long as the legacy handler takes, each limit by itself", async () => {
    const admission = memoryAdmission({ userInFlight: { limit: 1 }, globalInFlight: { limit: 1 } });
    const { begin, watch, passes, of } = open({}, { admission });
    const takesLong = Promise.withResolvers<LegacyAnswer>();
    const first = begin({ legacy: takesLong.promise });
    await watch();
    expect((await of("check")).at(-1)).toMatchObject({
      effect: "allow",
      admission: [
        { verdict: "would_reject", reason: "USER_IN_FLIGHT" },
        { verdict: "would_reject", reason: "GLOBAL_IN_FLIGHT" },
        { verdict: "allow" },
      ],
    });
    takesLong.resolve(legacyAnswer);
    await passes();
    await first;
    await watch();
    expect((await of("check")).at(-1)?.admission).toEqual([{ verdict: "allow" }]);
  });

  it("see requests that came one after the other, and were answered at once, as that", async () => {
    const admission = memoryAdmission({ userInFlight: { limit: 1 } });
    const { begin, passes, of } = open({}, { admission });
    void begin();
    await Promise.resolve();
    void begin();
    await passes();
    expect((await of("check")).map((sample) => sample.admission)).toEqual([
      [{ verdict: "allow" }],
      [{ verdict: "allow" }],
    ]);
  });

  it("take no turn of the processor while a request is answered that takes no longer", async () => {
    const parsed: string[] = [];
    const { begin, clock } = open();
    void begin({
      copied: Promise.resolve({ parse: async () => (parsed.push("it"), { body: hello }) }),
    });
    await clock.advanceAsync(49);
    expect(parsed).toEqual([]);
    await clock.advanceAsync(1);
    expect(parsed).toEqual(["it"]);
  });

  it("count a request also where the legacy handler takes minutes", async () => {
    const admission = memoryAdmission({ userInFlight: { limit: 1 } });
    const { begin, watch, of, clock } = open({}, { admission });
    const takesLong = Promise.withResolvers<LegacyAnswer>();
    void begin({ legacy: takesLong.promise });
    await clock.advanceAsync(4 * 60_000);
    await watch();
    expect((await of("check")).at(-1)).toMatchObject({
      admission: [{ verdict: "would_reject", reason: "USER_IN_FLIGHT" }, { verdict: "allow" }],
    });
    takesLong.resolve(legacyAnswer);
  });

  it("take nothing of anybody's limits", async () => {
    const admission = memoryAdmission({
      userInFlight: { limit: 1 },
      messageRate: { count: 1, perMs: 60_000 },
    });
    const { begin, watch, guard } = open({}, { admission });
    const never = Promise.withResolvers<LegacyAnswer>().promise;
    void begin({ legacy: never });
    await watch();
    const decision = await guard.decide(hello as unknown as ChatInput, { subject: "alice" });
    expect(decision.effect).toBe("allow");
    guard.giveUp(decision);
  });

  it.each([
    ["the body was too long", { copied: Promise.resolve({ skipped: "too_large" }) }, "too_large"],
    ["nobody read the body", { copied: Promise.resolve({ skipped: "unread" }) }, "unread"],
    [
      "the body is none of ours",
      { copied: Promise.resolve({ parse: async () => ({ body: { messages: [] } }) }) },
      "invalid",
    ],
    [
      "the body is no JSON",
      {
        copied: Promise.resolve({ parse: async () => ({ problem: { ...problem, status: 400 } }) }),
      },
      "invalid",
    ],
    [
      "the body was too long once unpacked",
      {
        copied: Promise.resolve({ parse: async () => ({ problem: { ...problem, status: 413 } }) }),
      },
      "too_large",
    ],
    [
      "the application's subject throws",
      {
        subject: () => {
          throw new Error("theirs");
        },
      },
      "failed",
    ],
  ] as const)("are left out and counted where %s", async (_what, parts, cause) => {
    const { watch, of, shadow } = open();
    await watch(parts as Partial<WatchedCall<ChatInput>>);
    expect(shadow.skipped).toMatchObject({ [cause]: 1 });
    expect(Object.values(shadow.skipped).reduce((sum, count) => sum + count)).toBe(1);
    expect(shadow.watched).toBe(0);
    expect(await of("check")).toHaveLength(0);
  });

  it("I12 are bounded: what comes beyond is counted and left alone", async () => {
    const { begin, passes, shadow } = open({ maxWatched: 2 });
    const ends = Promise.withResolvers<LegacyAnswer>();
    const both = [begin({ legacy: ends.promise }), begin({ legacy: ends.promise })];
    expect(shadow.ticket()).toBeUndefined();
    expect(shadow.skipped.busy).toBe(1);
    ends.resolve(legacyAnswer);
    await passes();
    await Promise.all(both);
    expect(shadow.watched).toBe(0);
    expect(shadow.ticket()).toBeDefined();
  });

  it.each<[string, Partial<WatchedCall<ChatInput>>, number]>([
    ["an answer never ends", { legacy: Promise.withResolvers<never>().promise }, 0],
    ["a body or a subject never comes", { copied: Promise.withResolvers<never>().promise }, 1],
  ])("I12 wait no longer than five minutes where %s", async (_what, parts, failed) => {
    const { begin, passes, shadow, clock, guard } = open();
    const watching = begin(parts);
    await clock.advanceAsync(5 * 60_000 - 1);
    expect(shadow.watched).toBe(1);
    await clock.advanceAsync(1);
    await passes();
    await watching;
    expect([shadow.watched, shadow.skipped.failed, guard.inFlight]).toEqual([0, failed, 0]);
    guard.close();
    await clock.advanceAsync(1000);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe("the shadow of a gateway that drains", () => {
  it("is stopped: what it asked is aborted, and nobody is watched any more", async () => {
    const provider = fakeProvider<ChatInput>({ model: "model" });
    const { begin, passes, shadow, gateway, guard } = open(mirroring, { provider });
    const underWay = begin();
    await passes();
    await gateway.drain();
    expect(provider.last().asked.signal.aborted).toBe(true);
    await underWay;
    expect(shadow.ticket()).toBeUndefined();
    expect(shadow.skipped.busy).toBe(0);
    expect(guard.probe("alice").effect).toBe("allow");
  });

  it("looks at nobody whom it has kept back until then", async () => {
    const { begin, passes, of, gateway, shadow } = open();
    void begin();
    await gateway.drain();
    await passes();
    expect(await of("check")).toHaveLength(0);
    expect(shadow.watched).toBe(0);
  });
});

describe("the mirror", () => {
  it("asks the model for its share, and tells how the two answers compare", async () => {
    const draws = [0.3, 0.1];
    const random = (): number => draws.shift() ?? 1;
    const provider = answering();
    const { watch, of, shadow } = open({ ...mirroring, mirrorShare: 0.2, random }, { provider });
    expect(shadow.ticket()?.answerLimitBytes).toBe(0);
    await watch();
    expect(provider.calls).toHaveLength(1);
    expect(await of("outcome")).toMatchObject([{ arm: "shadow", outcome: "SUCCEEDED" }]);
    expect(await of("parity")).toMatchObject([
      { arm: "shadow", figures: { legacyValid: true, mirrorValid: true, lengthDifference: 2 } },
    ]);
  });

  it("waits for nobody's limits and runs so many at once", async () => {
    const { begin, watch, passes, provider, shadow } = open(
      { ...mirroring, maxMirrors: 1 },
      { provider: fakeProvider<ChatInput>({ model: "model" }) },
    );
    const first = begin();
    await passes();
    expect(shadow.mirrors).toBe(1);
    await watch();
    expect(provider.calls).toHaveLength(1);
    answers(provider.last());
    await first;
    expect(shadow.mirrors).toBe(0);
  });

  it("compares nothing with an answer that its own caps did not let be made", async () => {
    // A prompt and an answer of which not even one is within a nano-dollar.
    const { watch, of, provider } = open(
      { ...mirroring, costNanoUsdPerDay: 1 },
      { provider: answering() },
    );
    await watch();
    expect(provider.calls).toHaveLength(0);
    expect(await of("check")).toHaveLength(1);
    expect(await of("parity")).toHaveLength(0);
  });

  it("tells of a failure, which nobody sees", async () => {
    const provider = fakeProvider<ChatInput>({
      model: "model",
      onCall: (call) => call.reply(errorReply("PROVIDER_UNAVAILABLE")),
    });
    const { watch, of, guard } = open(mirroring, { provider });
    await watch();
    expect(await of("outcome")).toMatchObject([{ arm: "shadow", outcome: "FAILED" }]);
    expect(await of("parity")).toMatchObject([
      { figures: { legacyValid: true, mirrorValid: false } },
    ]);
    expect(String(guard.describe())).toBe(String(openChat({ on, provider }).guard.describe()));
  });

  it("I4 asks no longer than the client waits for the legacy handler's answer", async () => {
    const provider = fakeProvider<ChatInput>({ model: "model" });
    const { begin, watch, passes, of, guard } = open(mirroring, { provider });
    const ends = Promise.withResolvers<LegacyAnswer>();
    const underWay = begin({ legacy: ends.promise });
    await passes();
    expect(provider.last().asked.signal.aborted).toBe(false);
    const left: LegacyAnswer = { ...legacyAnswer, complete: false };
    ends.resolve(left);
    await underWay;
    expect(provider.last().asked.signal.aborted).toBe(true);
    await watch({ legacy: Promise.resolve(left) });
    expect(provider.calls).toHaveLength(1);
    expect(await of("parity")).toHaveLength(0);
    expect(guard.inFlight).toBe(0);
  });

  it("I1 asks nobody for a killed feature, and stops what it asked", async () => {
    const provider = fakeProvider<ChatInput>({ model: "model" });
    const { begin, watch, passes, guard } = open(mirroring, { provider });
    const underWay = begin();
    await passes();
    expect(provider.calls).toHaveLength(1);
    guard.kill();
    expect(provider.last().asked.signal.aborted).toBe(true);
    await underWay;
    await watch();
    expect(provider.calls).toHaveLength(1);
  });
});
