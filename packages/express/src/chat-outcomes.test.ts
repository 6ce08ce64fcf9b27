import type { Switches } from "@sluice/contract";
import type { ChatInput } from "@sluice/gateway";
import { memoryAdmission } from "@sluice/guard";
import { delta, errorReply, fakeAdmissionStore, type FakeCall } from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { ask, asks, chatApp, chatProvider, on } from "./chat-for-tests.ts";

/** Says some of it, then no more. */
const cut = (call: FakeCall<ChatInput>): void => {
  if (!call.streams) return call.reply(errorReply("STREAM_CUT"));
  call.emit(delta("some of it"));
  call.cut();
};
const failing = (call: FakeCall<ChatInput>): void =>
  call.streams ? call.fail(new Error("refused")) : call.reply(errorReply("PROVIDER_UNAVAILABLE"));

const limited = (switches: Partial<Switches> = {}) =>
  chatApp({
    switches: { ...on, ...switches },
    admission: memoryAdmission({ messageRate: { count: 1, perMs: 60_000 } }),
  }).app;
const withoutStore = (switches: Partial<Switches> = {}) =>
  chatApp({
    switches: { ...on, ...switches },
    admission: fakeAdmissionStore({ limit: 1, onAcquire: (asking) => asking.unavailable() }),
  }).app;

describe.each(Object.entries(asks))("authoritative, in %s", (_, asked) => {
  const { ends, alwaysOk = false } = asked;

  it("what succeeds is 200, to its end", async () => {
    const { app, provider } = chatApp();
    const response = await ask(app, asked).expect(200);
    expect(response.headers["sluice-path"]).toBe("ai");
    expect(response.text).toContain("good");
    expect(response.text).not.toContain("legacy");
    expect(response.text).toMatch(ends);
    expect(provider.calls).toHaveLength(1);
  });

  it("what fails before it says a word has a status of its own", async () => {
    const { app } = chatApp({ provider: chatProvider(failing) });
    const response = await ask(app, asked).expect(alwaysOk ? 200 : 502);
    expect(response.text).not.toContain("refused");
    expect(response.text).toMatch(alwaysOk ? ends : /\}$/);
  });

  it("what the gates divert the legacy handler answers, and a header says so", async () => {
    const { app, provider } = chatApp({ enabled: false });
    const response = await ask(app, asked).expect(200);
    expect(response.body).toEqual({ reply: "legacy" });
    expect(response.headers["sluice-path"]).toBe("legacy");
    expect(provider.calls).toEqual([]);
  });

  it("what is killed before it says a word the legacy handler answers", async () => {
    const { app, guard } = chatApp({ provider: chatProvider(() => guard.kill()) });
    expect((await ask(app, asked)).body).toEqual({ reply: "legacy" });
  });

  it("what falls back the legacy handler answers", async () => {
    const { app } = chatApp({ provider: chatProvider(failing), onFailure: "stub" });
    expect((await ask(app, asked)).body).toEqual({ reply: "legacy" });
  });

  it("what is beyond a limit is 429, once limits are enforced", async () => {
    const observed = limited();
    const enforced = limited({
      FF_ADMISSION_ENFORCE: true,
      ADMISSION_ENFORCE_GLOBAL_MSG_RATE: true,
    });
    for (const app of [observed, observed, enforced]) await ask(app, asked).expect(200);
    const response = await ask(enforced, asked).expect(429);
    expect(response.headers["retry-after"]).toBe("60");
  });

  it("what can't be admitted is 503 where a lost store closes", async () => {
    const closing = { FF_ADMISSION_ENFORCE: true, FF_FAIL_CLOSED_ON_REDIS_ERROR: true };
    expect((await ask(withoutStore(), asked)).status).toBe(200);
    expect((await ask(withoutStore(closing), asked)).status).toBe(503);
  });

  it("what is no chat is 400, and nobody is called", async () => {
    const { app, provider } = chatApp();
    await ask(app, { ...asked, body: { ...asked.body, messages: [] } }).expect(400);
    expect(provider.calls).toEqual([]);
  });
});

it.each(Object.entries(asks).filter(([, { streams }]) => streams))(
  "I13 what is cut in mid-stream ends with its terminal event, in %s",
  async (_, asked) => {
    const { app } = chatApp({ provider: chatProvider(cut) });
    const response = await ask(app, asked).expect(200);
    expect(response.text).toContain("some of it");
    expect(response.text).toMatch(asked.ends);
    expect(response.text).toMatch(/"error"|"failed"/);
  },
);
