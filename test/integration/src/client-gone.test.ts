import { chatCompletion, sendJson, startUpstream } from "@sluice/testkit";
import { expect, it, onTestFinished, vi } from "vitest";
import { openFlags, startChatApp } from "./chat-app.ts";

it("I4 clients that go away end their calls of the model and leave nothing held", {
  timeout: 15_000,
}, async () => {
  const upstream = await startUpstream((res) => sendJson(res, chatCompletion("x")));
  onTestFinished(() => upstream.close());
  const app = await startChatApp({
    upstreamUrl: upstream.url,
    flags: openFlags,
    env: { CHAT_AI_TIMEOUT_MS: "60000" },
  });
  await app.untilPath("ai");
  const before = upstream.requests.length;

  upstream.answerWith(() => undefined);
  const leaving = new AbortController();
  const asked = Array.from({ length: 20 }, () =>
    fetch(`${app.url}/api/chat`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ messages: [{ role: "user", content: "Hello" }] }),
      signal: leaving.signal,
    }),
  );
  await upstream.received(before + 20);
  leaving.abort();
  const ends = await Promise.allSettled(asked);
  expect(new Set(ends.map(({ status }) => status))).toEqual(new Set(["rejected"]));
  await upstream.settled();
  await vi.waitFor(
    async () => {
      const state = (await (await fetch(`${app.url}/api/state`)).json()) as object;
      // What clients do says nothing about the provider.
      expect(state).toMatchObject({
        inFlight: 0,
        providers: [{ provider: "openai", state: "closed" }],
        counts: { answers: { failed: 20 } },
      });
    },
    { interval: 10 },
  );
  upstream.answerWith((res) => sendJson(res, chatCompletion("y")));
  expect((await app.chat("Hello")).body).toEqual({ status: "OK", reply: "y" });
  expect(app.process.stderr).toBe("");
});
