import { setImmediate as turn } from "node:timers/promises";
import { memoryAdmission } from "@sluice/guard";
import { errorReply, fakeProvider, textReply, type FakeCall } from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import type { ChatInput } from "./chat-input.ts";
import { hello, openChat, switchesOf, type ChatOptions } from "./open-chat-for-tests.ts";
import type { LegacyAnswer } from "./parity.ts";
import type { WatchedCall } from "./shadow.ts";

/** The shadow begins in the turn after the request's. */
const turns = async (): Promise<void> => {
  await turn();
  await turn();
};

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
  body: Promise.resolve({ body: hello }),
  legacy: Promise.resolve(legacyAnswer),
  ...parts,
});

const mirroring = { mirrorShare: 1, costNanoUsdPerDay: 1e12 } as const;

const open = (shadow: ChatOptions["shadow"] = {}, more: Parameters<typeof openChat>[0] = {}) => {
  const chat = openChat({ on, ...more }, { shadow });
  const watch = async (parts?: Partial<WatchedCall<ChatInput>>): Promise<void> =>
    chat.gateway.shadow.ticket()?.watch(watched(parts));
  return { ...chat, watch, shadow: chat.gateway.shadow };
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
    const { watch, of } = open({}, { admission });
    const takesLong = Promise.withResolvers<LegacyAnswer>();
    const first = watch({ legacy: takesLong.promise });
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
    await first;
    await watch();
    expect((await of("check")).at(-1)?.admission).toEqual([{ verdict: "allow" }]);
  });

  it("count a request also where the legacy handler takes minutes", async () => {
    const admission = memoryAdmission({ userInFlight: { limit: 1 } });
    const { watch, of, clock } = open({}, { admission });
    const takesLong = Promise.withResolvers<LegacyAnswer>();
    void watch({ legacy: takesLong.promise });
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
    const { watch, guard } = open({}, { admission });
    const never = Promise.withResolvers<LegacyAnswer>().promise;
    void watch({ legacy: never });
    await watch();
    const decision = await guard.decide(hello as unknown as ChatInput, { subject: "alice" });
    expect(decision.effect).toBe("allow");
    guard.giveUp(decision);
  });

  it.each([
    ["the body was too long", { body: Promise.resolve({ skipped: "too_large" }) }, "too_large"],
    ["nobody read the body", { body: Promise.resolve({ skipped: "unread" }) }, "unread"],
    ["the body is none of ours", { body: Promise.resolve({ body: { messages: [] } }) }, "invalid"],
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
    const { watch, shadow } = open({ maxWatched: 2 });
    const ends = Promise.withResolvers<LegacyAnswer>();
    const both = [watch({ legacy: ends.promise }), watch({ legacy: ends.promise })];
    expect(shadow.ticket()).toBeUndefined();
    expect(shadow.skipped.busy).toBe(1);
    ends.resolve(legacyAnswer);
    await Promise.all(both);
    expect(shadow.watched).toBe(0);
    expect(shadow.ticket()).toBeDefined();
  });

  it.each<[string, Partial<WatchedCall<ChatInput>>, number]>([
    ["an answer never ends", { legacy: Promise.withResolvers<never>().promise }, 0],
    ["a body or a subject never comes", { body: Promise.withResolvers<never>().promise }, 1],
  ])("I12 wait no longer than five minutes where %s", async (_what, parts, failed) => {
    const { watch, shadow, clock, guard } = open();
    const watching = watch(parts);
    await clock.advanceAsync(5 * 60_000 - 1);
    expect(shadow.watched).toBe(1);
    await clock.advanceAsync(1);
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
    const { watch, shadow, gateway, guard } = open(mirroring, { provider });
    const underWay = watch();
    await turns();
    await gateway.drain();
    expect(provider.last().asked.signal.aborted).toBe(true);
    await underWay;
    expect(shadow.ticket()).toBeUndefined();
    expect(shadow.skipped.busy).toBe(0);
    expect(guard.probe("alice").effect).toBe("allow");
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
    const { watch, provider, shadow } = open(
      { ...mirroring, maxMirrors: 1 },
      { provider: fakeProvider<ChatInput>({ model: "model" }) },
    );
    const first = watch();
    await turns();
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

  it("I1 asks nobody for a killed feature, and stops what it asked", async () => {
    const provider = fakeProvider<ChatInput>({ model: "model" });
    const { watch, guard } = open(mirroring, { provider });
    const underWay = watch();
    await turns();
    expect(provider.calls).toHaveLength(1);
    guard.kill();
    expect(provider.last().asked.signal.aborted).toBe(true);
    await underWay;
    await watch();
    expect(provider.calls).toHaveLength(1);
  });
});
