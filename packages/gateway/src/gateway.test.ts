import { setImmediate as turn } from "node:timers/promises";
import type { StreamEvent } from "@sluice/contract";
import { memoryAdmission } from "@sluice/guard";
import { delta, errorReply, fakeProvider, textReply } from "@sluice/testkit";
import { describe, expect, it, vi } from "vitest";
import type { ChatInput } from "./chat-input.ts";
import { hello, openChat } from "./open-chat-for-tests.ts";

const on = { FF_CHAT_GATEWAY_ENABLED: true };
const stream = "text/event-stream";
const throwing = (): never => {
  throw new Error("theirs");
};
const greeting = () =>
  fakeProvider<ChatInput>({ onCall: (call) => call.reply(textReply("hi there")) });
const failing = () =>
  fakeProvider<ChatInput>({ onCall: (call) => call.reply(errorReply("PROVIDER_UNAVAILABLE")) });

describe("the stage", () => {
  it.each([
    [{}, "legacy"],
    [{ FF_CHAT_GATEWAY_SHADOW: true }, "legacy"],
    [{ FF_CHAT_GATEWAY_ENABLED: true, FF_CHAT_GATEWAY_SHADOW: true }, "shadow"],
    [{ FF_CHAT_GATEWAY_ENABLED: true }, "authoritative"],
  ] as const)("of %j is %s", (switches, name) => {
    expect(openChat({ on: switches }).gateway.stage().name).toBe(name);
  });
});

describe("an authoritative gateway", () => {
  it("answers, and says who did and by which decision", async () => {
    const { gateway, call } = openChat({ on, provider: greeting() });
    const answer = await gateway.answer(call());
    expect(answer).toMatchObject({
      kind: "whole",
      answer: {
        status: 200,
        headers: { "sluice-path": "ai" },
      },
    });
    if (answer.kind !== "whole") throw new Error("not whole");
    expect(JSON.parse(answer.answer.body)).toEqual({ status: "OK", reply: "hi there" });
    expect(answer.answer.headers["sluice-decision"]).toBe(answer.outcome?.decision.id);
  });

  it("adds no header of its own where that is asked for", async () => {
    const { gateway, call } = openChat({ on, provider: greeting() }, { headers: false });
    const answer = await gateway.answer(call());
    expect(answer).toMatchObject({ kind: "whole", answer: { headers: {} } });
    expect("answer" in answer && answer.answer.headers).toEqual({});
  });

  it("tells front ends more where that is asked for", async () => {
    const { gateway, call } = openChat({ on, provider: greeting() }, { meta: true });
    const answer = await gateway.answer(call());
    if (answer.kind !== "whole") throw new Error("not whole");
    expect(answer.answer.headers).toMatchObject({
      "sluice-selected-provider": "fake",
      "sluice-fallback-used": "false",
    });
    expect(JSON.parse(answer.answer.body)).toMatchObject({
      reply: "hi there",
      meta: { path: "ai", selected_provider: "fake", fallback_used: false },
    });
  });

  it("hands what its gates divert to the legacy handler, and calls no stub", async () => {
    const { gateway, call, stubs, of } = openChat({ on, enabled: false });
    for (const accept of [undefined, stream]) {
      expect(await gateway.answer(call({ accept }))).toMatchObject({
        kind: "legacy",
        headers: { "sluice-path": "legacy" },
        outcome: { status: "STUBBED", path: "legacy" },
      });
    }
    expect(stubs()).toBe(0);
    expect(await of("outcome")).toHaveLength(0);
  });

  it("answers by the stub where there is no legacy handler", async () => {
    const { gateway, call, stubs } = openChat({ on, enabled: false });
    expect(await gateway.answer(call({ hasLegacy: false }))).toMatchObject({
      kind: "whole",
      answer: { status: 200, headers: { "sluice-path": "stub" } },
    });
    expect(stubs()).toBe(1);
  });

  it.each([undefined, stream])(
    "hands what was killed before anything left to the legacy handler (%s)",
    async (accept) => {
      const { gateway, call, guard, provider } = openChat({ on });
      const answering = gateway.answer(call({ accept }));
      await turn();
      expect(provider.calls).toHaveLength(1);
      guard.kill();
      expect(await answering).toMatchObject({ kind: "legacy", outcome: { reason: "KILLED" } });
    },
  );

  it.each([undefined, stream])(
    "hands a failure to the legacy handler where the failure policy says so (%s)",
    async (accept) => {
      const { gateway, call } = openChat({ on, onFailure: "stub", provider: failing() });
      expect(await gateway.answer(call({ accept }))).toMatchObject({
        kind: "legacy",
        outcome: { status: "FAILED", path: "legacy", record: { fallbackUsed: true } },
      });
    },
  );

  it("answers a failure with its status where the failure policy says so", async () => {
    const { gateway, call } = openChat({ on, provider: failing() });
    expect(await gateway.answer(call())).toMatchObject({ kind: "whole", answer: { status: 502 } });
  });

  it("refuses what has no place, with its headers", async () => {
    const admission = memoryAdmission({ messageRate: { count: 1, perMs: 60_000 } });
    const enforced = {
      ...on,
      FF_ADMISSION_ENFORCE: true,
      ADMISSION_ENFORCE_GLOBAL_MSG_RATE: true,
    };
    const { gateway, call } = openChat({ on: enforced, admission, provider: greeting() });
    await gateway.answer(call());
    expect(await gateway.answer(call())).toMatchObject({
      kind: "whole",
      answer: { status: 429, headers: { "retry-after": "60" } },
    });
  });

  it("streams from its first content to its one terminal event", async () => {
    const { gateway, call, provider } = openChat({ on });
    const answering = gateway.answer(call({ accept: stream }));
    await turn();
    provider.last().emit(delta("hi "));
    const answer = await answering;
    if (answer.kind !== "stream") throw new Error("not a stream");
    expect(answer.headers).toMatchObject({
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      "sluice-path": "ai",
    });
    provider.last().emit(delta("there"), { type: "finish" });
    const events: StreamEvent<unknown, unknown, unknown>[] = [];
    for await (const event of answer.stream) events.push(event);
    expect(events.map(({ type }) => type)).toEqual(["text-delta", "text-delta", "finish"]);
    expect(gateway.active).toBe(0);
  });

  it("refuses a body that is none of its own, but leaves it to the legacy handler where the gates divert", async () => {
    const open = openChat({ on });
    const body = { messages: [{ role: "user" }] };
    const refused = await open.gateway.answer(open.call({ body }));
    expect(refused).toMatchObject({ kind: "whole", answer: { status: 400 } });
    const { body: told = "" } = refused.kind === "whole" ? refused.answer : {};
    expect(told).toContain("/messages/0/content");
    expect(open.provider.calls).toHaveLength(0);
    const closed = openChat({ on, enabled: false });
    expect(await closed.gateway.answer(closed.call({ body }))).toMatchObject({ kind: "legacy" });
    expect(await closed.gateway.answer(closed.call({ body, hasLegacy: false }))).toMatchObject({
      kind: "whole",
      answer: { status: 400 },
    });
    const problem = { type: "about:blank", title: "The request body is not JSON", status: 400 };
    expect(open.gateway.refuse(problem, open.call())).toMatchObject({ kind: "whole" });
    expect(closed.gateway.refuse(problem, closed.call())).toMatchObject({ kind: "legacy" });
  });

  it("rejects for what the application's functions throw, and nothing is held", async () => {
    const { gateway, call, guard } = openChat({ on });
    await expect(gateway.answer(call({ request: throwing }))).rejects.toThrow("theirs");
    expect(guard.inFlight).toBe(0);
    expect(gateway.active).toBe(0);
  });
});

describe("a gateway that drains", () => {
  it("lets nobody in, and what flows ends as it would have", async () => {
    const { gateway, call, provider, clock, guard } = openChat({ on });
    const underWay = gateway.answer(call({ accept: stream }));
    await turn();
    provider.last().emit(delta("hi"));
    const answer = await underWay;
    const drained = gateway.drain({ deadlineMs: 1000 });
    expect(await gateway.answer(call())).toMatchObject({
      kind: "whole",
      answer: { status: 503, headers: { "retry-after": "1" } },
    });
    expect(provider.calls).toHaveLength(1);
    provider.last().emit({ type: "finish" });
    await drained;
    await clock.advanceAsync(5000);
    expect(guard.probe("alice").effect).toBe("allow");
    if (answer.kind !== "stream") throw new Error("not a stream");
    expect(await answer.stream.outcome).toMatchObject({ status: "SUCCEEDED" });
  });

  it("I13 ends what still flows at the deadline with its terminal event", async () => {
    const { gateway, call, provider, clock } = openChat({ on });
    const underWay = gateway.answer(call({ accept: stream }));
    await turn();
    provider.last().emit(delta("hi"));
    const answer = await underWay;
    if (answer.kind !== "stream") throw new Error("not a stream");
    const drained = gateway.drain({ deadlineMs: 1000 });
    await clock.advanceAsync(1000);
    await drained;
    const types: string[] = [];
    for await (const event of answer.stream) types.push(event.type);
    expect(types).toEqual(["text-delta", "failed"]);
    expect(provider.last().asked.signal.aborted).toBe(true);
  });

  it.each([undefined, stream])(
    "waits until an answer has been sent, and has events handed out (%s)",
    async (accept) => {
      const { gateway, call, guard } = openChat({ on, provider: greeting() });
      const sent = Promise.withResolvers<void>();
      const answer = await gateway.answer(call({ accept, sent: sent.promise }));
      if (answer.kind === "stream") await answer.stream.outcome;
      const order: string[] = [];
      const flush = guard.flush.bind(guard);
      vi.spyOn(guard, "flush").mockImplementation(() => {
        order.push("flushed");
        flush();
      });
      const drained = gateway.drain().then(() => order.push("drained"));
      await turn();
      expect([order, gateway.active]).toEqual([[], 1]);
      sent.resolve();
      await drained;
      expect([order, gateway.active]).toEqual([["flushed", "drained"], 0]);
    },
  );

  it("waits for nobody who left", async () => {
    const { gateway, call } = openChat({ on });
    const client = new AbortController();
    const request = () => ({ signal: client.signal });
    const answer = gateway.answer(call({ request, sent: Promise.withResolvers<never>().promise }));
    await turn();
    client.abort();
    await answer;
    await turn();
    expect(gateway.active).toBe(0);
  });

  it("does not wait for what the legacy handler answers", async () => {
    const { gateway, call } = openChat({ on, enabled: false });
    await gateway.answer(call({ sent: Promise.withResolvers<never>().promise }));
    await turn();
    expect(gateway.active).toBe(0);
  });

  it("leaves whoever waits for a first word to the legacy handler", async () => {
    const { gateway, call, clock } = openChat({ on });
    const underWay = gateway.answer(call({ body: hello }));
    await turn();
    const drained = gateway.drain({ deadlineMs: 1000 });
    await clock.advanceAsync(1000);
    expect(await underWay).toMatchObject({ kind: "legacy" });
    await drained;
  });
});
