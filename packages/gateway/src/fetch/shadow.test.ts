import { setImmediate as turn } from "node:timers/promises";
import { fakeProvider, textReply } from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import type { ChatInput } from "../chat-input.ts";
import { fetchGateway } from "../fetch-gateway.ts";
import { hello, openChat, type ChatOptions } from "../open-chat-for-tests.ts";

const on = { FF_CHAT_GATEWAY_ENABLED: true, FF_CHAT_GATEWAY_SHADOW: true };
const asked = JSON.stringify(hello);
const post = (init: RequestInit = {}): Request =>
  new Request("http://app.test/api/chat", {
    method: "POST",
    body: asked,
    ...init,
    headers: {
      "content-type": "application/json",
      ...(init.headers as Readonly<Record<string, string>>),
    },
  });
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

type Legacy = (request: Request) => Response | Promise<Response>;

function shadowed(
  legacy: Legacy,
  more: { readonly shadow?: ChatOptions["shadow"]; readonly subject?: () => string } = {},
) {
  const chat = openChat({
    on,
    provider: fakeProvider<ChatInput>({
      model: "model",
      onCall: (call) => call.reply(textReply("a mirror")),
    }),
  });
  const { guard, clock } = chat;
  const handle = fetchGateway({
    guard,
    clock,
    legacy,
    subject: more.subject ?? (() => "alice"),
    ...(more.shadow && { shadow: more.shadow }),
  });
  const { shadow } = handle.gateway;
  /** What goes on beside the answer has ended. */
  const settled = async (): Promise<void> => {
    for (let turns = 0; turns < 50 && shadow.watched > 0; turns += 1) await clock.advanceAsync(50);
    expect(shadow.watched).toBe(0);
  };
  return { ...chat, handle, shadow, settled };
}

const mirroring = { mirrorShare: 1, costNanoUsdPerDay: 1e12 } as const;

describe("the shadow of a Fetch host", () => {
  it.each<[string, Legacy]>([
    [
      "a text",
      () => new Response("hello", { status: 201, statusText: "Made", headers: { "x-a": "b" } }),
    ],
    ["JSON", () => Response.json({ reply: "hello" })],
    [
      "a stream",
      () =>
        new Response(new Blob(["hello"]).stream(), {
          headers: { "content-type": "text/event-stream" },
        }),
    ],
    ["an error", () => new Response("no", { status: 500 })],
    [
      "two cookies",
      () =>
        new Response("hello", {
          headers: [
            ["set-cookie", "a=1; Path=/"],
            ["set-cookie", "b=2, c"],
          ],
        }),
    ],
  ])("I6 changes nothing of %s", async (_what, legacy) => {
    for (const shadow of [{}, mirroring]) {
      const { handle, of, settled } = shadowed(legacy, { shadow });
      const response = await handle(post());
      const plain = await legacy(post());
      expect([response.status, response.statusText]).toEqual([plain.status, plain.statusText]);
      expect([...response.headers]).toEqual([...plain.headers]);
      expect(response.headers.getSetCookie()).toEqual(plain.headers.getSetCookie());
      expect(await response.text()).toBe(await plain.text());
      await settled();
      expect(await of("check")).toMatchObject([{ arm: "shadow", effect: "allow" }]);
    }
  });

  it.each<[string, Response]>([
    ["204", new Response(null, { status: 204 })],
    ["304", new Response(null, { status: 304 })],
    ["a redirection", Response.redirect("http://app.test/", 303)],
    ["a network error", Response.error()],
  ])("I6 returns the very response where it has no body: %s", async (_what, made) => {
    const { handle, settled } = shadowed(() => made);
    expect(await handle(post())).toBe(made);
    await settled();
  });

  it("I6 leaves the very request to the legacy handler, its body whole", async () => {
    const seen: unknown[] = [];
    const { handle, of, settled } = shadowed(async (request) => {
      seen.push(request);
      await turn();
      return new Response(await request.text());
    });
    const request = post();
    expect(await (await handle(request)).text()).toBe(asked);
    expect(seen).toEqual([request]);
    await settled();
    expect(await of("check")).toHaveLength(1);
  });

  it("I6 lets a stream flow as it is written, and cancels it when the client leaves", async () => {
    let pulls = 0;
    let cancelled: unknown;
    const { handle, settled } = shadowed(
      () =>
        new Response(
          new ReadableStream<Uint8Array>(
            {
              pull(controller) {
                pulls += 1;
                controller.enqueue(bytes(`data: ${pulls}\n\n`));
              },
              cancel(reason) {
                cancelled = reason;
              },
            },
            { highWaterMark: 0 },
          ),
          { headers: { "content-type": "text/event-stream" } },
        ),
      { shadow: mirroring },
    );
    const { body } = await handle(post());
    await turn();
    expect(pulls).toBe(0);
    const reader = body?.getReader();
    for (const expected of [1, 2, 3]) {
      expect((await reader?.read())?.value).toEqual(bytes(`data: ${expected}\n\n`));
      expect(pulls).toBe(expected);
    }
    await reader?.cancel("the client left");
    expect(cancelled).toBe("the client left");
    await settled();
  });

  it("I6 rejects with the very error of the legacy handler", async () => {
    const fault = new Error("as ever");
    for (const legacy of [
      () => Promise.reject(fault),
      () => {
        throw fault;
      },
    ]) {
      const { handle, settled } = shadowed(legacy);
      await expect(handle(post())).rejects.toBe(fault);
      await settled();
    }
  });

  it("I6 shows nothing of an application that fails, or of a body that can't be read", async () => {
    const failing = shadowed(() => new Response("hello"), {
      subject: () => {
        throw new Error("no session");
      },
    });
    expect(await (await failing.handle(post())).text()).toBe("hello");
    await failing.settled();
    expect(failing.shadow).toMatchObject({ watched: 0, skipped: { failed: 1 } });

    const used = shadowed(() => new Response("hello"));
    const request = post();
    await request.text();
    expect(await (await used.handle(request)).text()).toBe("hello");
    await used.settled();
    expect(used.shadow).toMatchObject({ watched: 0, skipped: { failed: 1 } });
  });

  it("I6 hands on what is no response at all", async () => {
    const { handle } = shadowed(() => undefined as never);
    expect(await handle(post())).toBeUndefined();
  });

  it.each([
    ["that says so", () => post({ body: `"${"x".repeat(500)}"` })],
    [
      "that says nothing",
      () => post({ body: new Blob([`"${"x".repeat(500)}"`]).stream(), duplex: "half" as const }),
    ],
  ])("leaves a long body %s alone, all of which the legacy handler reads", async (_what, made) => {
    const { handle, shadow, of, settled } = shadowed(
      async (request) => new Response(await request.text()),
      { shadow: { bodyLimitBytes: 100 } },
    );
    expect(await (await handle(made())).text()).toHaveLength(502);
    await settled();
    expect(shadow).toMatchObject({ watched: 0, skipped: { too_large: 1 } });
    expect(await of("check")).toHaveLength(0);
  });

  it("returns the very response while it watches as many as it may", async () => {
    const made = new Response("hello");
    const { handle, shadow } = shadowed(() => made, { shadow: { maxWatched: 1 } });
    const first = await handle(post());
    expect(shadow.watched).toBe(1);
    expect(await handle(post())).toBe(made);
    expect(shadow.skipped.busy).toBe(1);
    await first.text();
  });

  it("I12 waits no longer than five minutes for a host that never says how an answer ended", async () => {
    const { handle, shadow, clock } = shadowed(
      () =>
        new Response(new ReadableStream(), { headers: { "content-type": "text/event-stream" } }),
    );
    const kept = await handle(post());
    await clock.advanceAsync(299_000);
    expect(shadow.watched).toBe(1);
    await clock.advanceAsync(2000);
    expect(shadow.watched).toBe(0);
    expect(kept.bodyUsed).toBe(false);
    expect(clock.pendingTimers).toBeLessThanOrEqual(1);
  });

  it("compares what the client got with the mirror's", async () => {
    const { handle, of, settled } = shadowed(
      () => Response.json({ status: "OK", reply: "a mirror" }),
      {
        shadow: { ...mirroring, equal: ["reply"] },
      },
    );
    await (await handle(post())).text();
    await settled();
    expect(await of("parity")).toMatchObject([
      { figures: { legacyValid: true, similarity: 1, equal: { reply: true } } },
    ]);
  });
});
