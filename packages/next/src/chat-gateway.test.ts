import { setImmediate as turn } from "node:timers/promises";
import type { ChatInput } from "@sluice/gateway";
import { createGuard, defineContract, staticFlags } from "@sluice/guard";
import {
  delta,
  FakeClock,
  fakeFlagSource,
  fakeProvider,
  sampleFeature,
  textReply,
} from "@sluice/testkit";
import { NextRequest } from "next/server.js";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { chatGateway } from "./chat-gateway.ts";
import { drainGateways } from "./drain-gateways.ts";

const authoritative = { FF_CHAT_GATEWAY_ENABLED: true };
const post = (headers: Readonly<Record<string, string>> = {}): NextRequest =>
  new NextRequest("http://app.test/api/chat?tab=1", {
    method: "POST",
    headers: { "content-type": "application/json", cookie: "visitor=alice", ...headers },
    body: JSON.stringify({ messages: [{ role: "user", content: "hello" }] }),
  });

const chatContract = defineContract({
  ok: z.object({ status: z.literal("OK"), reply: z.string().min(1) }),
  failed: sampleFeature.contract.failed,
  stub: z.object({ status: z.literal("STUB"), reply: z.string() }),
  text: { field: "reply", maxChars: 1000 },
});

function chat(more: { readonly switches?: object; readonly streams?: boolean } = {}) {
  const { switches = authoritative, streams = false } = more;
  const clock = new FakeClock();
  const provider = fakeProvider<ChatInput>(
    streams ? { streams } : { onCall: (call) => call.reply(textReply("hi there")) },
  );
  const fresh = fakeFlagSource({ clock });
  const off = staticFlags({}, { switches });
  const guard = createGuard({
    ...sampleFeature,
    contract: chatContract,
    stub: (_chat: ChatInput) => ({ status: "STUB", reply: "the stub" }) as const,
    provider,
    flags: { ...fresh, readSwitches: () => off.readSwitches() },
    clock,
  });
  return { guard, clock, provider, flags: fresh };
}

describe("a chat gateway of the App Router", () => {
  it("answers, and leaves to the legacy handler a request of Next's own", async () => {
    const { guard, clock, flags } = chat();
    const seen: unknown[] = [];
    const POST = chatGateway({
      guard,
      clock,
      subject: ({ cookies }) => cookies.get("visitor")?.value ?? "",
      async legacy(request, context: { readonly params: Promise<{ readonly id: string }> }) {
        const { id } = await context.params;
        seen.push(
          request.cookies.get("visitor")?.value,
          request.nextUrl.searchParams.get("tab"),
          id,
        );
        return Response.json(await request.json());
      },
    });
    const context = { params: Promise.resolve({ id: "7" }) };
    const answer = await POST(post(), context);
    expect(await answer.json()).toEqual({ status: "OK", reply: "hi there" });

    flags.set({ percent: 0 });
    const diverted = await POST(post(), context);
    expect(diverted.headers.get("sluice-path")).toBe("legacy");
    expect(await diverted.json()).toEqual(await post().json());
    expect(seen).toEqual(["alice", "1", "7"]);
  });

  it("I9 looks at the age of its flags before it decides: thawed, it leaves the answer to the legacy handler", async () => {
    const { guard, clock, provider } = chat();
    const POST = chatGateway({
      guard,
      clock,
      subject: () => "alice",
      legacy: () => new Response("from the legacy handler"),
    });
    expect((await POST(post())).headers.get("sluice-path")).toBe("ai");
    // The function is frozen: no timer runs, and only the wall clock goes on.
    clock.sleepMachine(60 * 60_000);
    const thawed = await POST(post());
    expect(await thawed.text()).toBe("from the legacy handler");
    expect(thawed.headers.get("sluice-path")).toBe("legacy");
    expect(provider.calls).toHaveLength(1);
    expect(guard.probe("alice")).toMatchObject({ effect: "divert", reason: "FLAGS_STALE" });
  });

  it("I9 ends a stream that a thawed function would go on with", async () => {
    const { guard, clock, provider } = chat({ streams: true });
    const POST = chatGateway({ guard, clock, subject: () => "alice" });
    const answer = POST(post({ accept: "text/event-stream" }));
    await turn();
    provider.last().emit(delta("hi "));
    const response = await answer;
    clock.sleepMachine(60 * 60_000);
    await clock.advanceAsync(20);
    expect(provider.last().asked.signal.aborted).toBe(true);
    expect(await response.text()).toContain('"type":"failed"');
    expect(guard.inFlight).toBe(0);
  });

  it("is made with the first request where it is given as a function, and anew after a failure", async () => {
    const { guard, clock } = chat();
    let asked = 0;
    const POST = chatGateway(async () => {
      asked += 1;
      await turn();
      if (asked === 1) throw new Error("no database");
      return { guard, clock, subject: () => "alice" };
    });
    expect(asked).toBe(0);
    await expect(POST(post())).rejects.toThrow("no database");
    const both = await Promise.all([POST(post()), POST(post())]);
    expect(both.map(({ status }) => status)).toEqual([200, 200]);
    await POST(post());
    expect(asked).toBe(2);
  });

  it("drains with all others: nobody new, and the answer under way to its end", async () => {
    const { guard, clock, provider } = chat({ streams: true });
    const POST = chatGateway({ guard, clock, subject: () => "alice" });
    const answer = POST(post({ accept: "text/event-stream" }));
    await turn();
    provider.last().emit(delta("hi "));
    const response = await answer;
    const drained = drainGateways();
    const late = await POST(post());
    expect(late.status).toBe(503);
    expect(late.headers.get("retry-after")).toBe("1");
    expect(await Promise.race([drained, turn("waits")])).toBe("waits");
    provider.last().emit(delta("there"), { type: "finish" });
    expect(await response.text()).toContain('"type":"finish"');
    await drained;
  });
});
