import { expect, vi } from "vitest";
import { openFlags, startChatApp } from "./chat-app.ts";
import { startHeldUpstream } from "./held-upstream-for-tests.ts";

const often = { interval: 10, timeout: 30_000 };

/** The chat app as a process of its own, its upstream in the test's hands. */
export async function openChatApp(flags = "") {
  const upstream = await startHeldUpstream();
  const app = await startChatApp({
    upstreamUrl: new URL(upstream.url).origin,
    flags: openFlags + flags,
    env: { CHAT_AI_TIMEOUT_MS: "60000" },
  });
  const { url } = app;
  const state = async (): Promise<object> =>
    (await (await fetch(`${url}/api/state`)).json()) as object;
  // A young flags file opens nothing before it has stood for a moment.
  await vi.waitFor(async () => expect(await state()).toMatchObject({ shut: null }), often);
  return {
    url,
    upstream,
    /** The cookie of a new visitor. */
    async visitor(): Promise<string> {
      const { headers } = await fetch(url);
      return headers
        .getSetCookie()
        .map((cookie) => cookie.split(";")[0])
        .join("; ");
    },
    /** By the flags file, as people do it. */
    kill: () => app.editFlags(openFlags.replace("CHAT_AI_KILL=false", "CHAT_AI_KILL=true")),
    /** Resolves once nothing is held any more. */
    idle: () => vi.waitFor(async () => expect(await state()).toMatchObject({ inFlight: 0 }), often),
  };
}
