import { setImmediate as turn } from "node:timers/promises";
import { createGuard, memoryAdmission, staticFlags, type Outcome } from "@sluice/guard";
import { delta, FakeClock, fakeProvider, textReply } from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { countResponses } from "./fetch/count-responses.ts";
import { fetchGateway, type FetchGatewayOptions } from "./fetch-gateway.ts";
import type { ChatInput } from "./chat-input.ts";
import { chatContract, hello, openChat } from "./open-chat-for-tests.ts";

type Chat = ReturnType<typeof openChat>;
type Answered = Chat["guard"] extends {
  run(input: never, request: never): Promise<Outcome<infer Ok, infer Failed, infer Stub>>;
}
  ? FetchGatewayOptions<ChatInput, Ok, Failed, Stub>
  : never;

const authoritative = { FF_CHAT_GATEWAY_ENABLED: true };
const answering = (text = "hi there") =>
  fakeProvider<ChatInput>({ model: "model", onCall: (call) => call.reply(textReply(text)) });

type Body = ConstructorParameters<typeof Response>[0];

const post = (body: Body = JSON.stringify(hello), init: RequestInit = {}): Request =>
  new Request("http://app.test/api/chat", {
    method: "POST",
    body,
    ...init,
    headers: {
      "content-type": "application/json",
      ...(init.headers as Readonly<Record<string, string>>),
    },
  });
const streamed = { headers: { accept: "text/event-stream" } };

/** A body of unknown length, as a chunked one is. */
const chunked = (...chunks: readonly string[]): Request =>
  post(
    new ReadableStream({
      start(controller) {
        for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk));
        controller.close();
      },
    }),
    { duplex: "half" },
  );

function opened(guarding: Parameters<typeof openChat>[0] = {}, options: Partial<Answered> = {}) {
  const chat = openChat({ on: authoritative, ...guarding });
  const { guard, clock } = chat;
  return { ...chat, handle: fetchGateway({ guard, clock, subject: () => "alice", ...options }) };
}

const legacyReply = "from the legacy handler";
const legacyEcho = async (request: Request): Promise<Response> =>
  new Response(`${legacyReply}: ${await request.text()}`);

describe("an authoritative gateway of a Fetch host", () => {
  it("answers whole", async () => {
    const { handle, guard } = opened({ provider: answering() });
    const response = await handle(post());
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toContain("application/json");
    expect(response.headers.get("sluice-path")).toBe("ai");
    expect(await response.json()).toEqual({ status: "OK", reply: "hi there" });
    expect(guard.inFlight).toBe(0);
  });

  it("lets an answer flow piece by piece, each as it is asked for", async () => {
    const { handle, provider, guard } = opened();
    const answer = handle(post(undefined, streamed));
    await turn();
    provider.last().emit(delta("hi "));
    const response = await answer;
    expect(response.headers.get("content-type")).toContain("text/event-stream");
    const reader = piecesOf(response);
    expect(await reader.next()).toContain('"text":"hi "');
    provider.last().emit(delta("there"), { type: "finish" });
    expect(await reader.next()).toContain('"text":"there"');
    expect(await reader.next()).toContain('"type":"finish"');
    expect(await reader.next()).toBeUndefined();
    expect(guard.inFlight).toBe(0);
  });

  it("I4 ends the call of a client that leaves, where the host cancels the body", async () => {
    const { handle, provider, guard } = opened();
    const answer = handle(post(undefined, streamed));
    await turn();
    provider.last().emit(delta("hi "));
    const { body } = await answer;
    await body?.cancel();
    await turn();
    expect(provider.last().asked.signal.aborted).toBe(true);
    expect(guard.inFlight).toBe(0);
  });

  it("I4 ends the call of a client that leaves before the first word", async () => {
    const { handle, provider, guard } = opened();
    const client = new AbortController();
    const answer = handle(post(undefined, { ...streamed, signal: client.signal }));
    await turn();
    client.abort();
    await answer;
    expect(provider.last().asked.signal.aborted).toBe(true);
    expect(guard.inFlight).toBe(0);
  });

  it("I4 gives everything back on a host that neither reads nor aborts", async () => {
    const clock = new FakeClock();
    const provider = fakeProvider<ChatInput>({ streams: true });
    const guard = createGuard({
      feature: "chat_ai",
      contract: chatContract,
      failed: ({ code }) => ({ status: "FAILED", code }),
      stub: () => ({ status: "STUB", reply: "the stub" }),
      provider,
      flags: staticFlags({ chat_ai: { enabled: true } }, { switches: authoritative }),
      onFailure: "failed",
      admission: memoryAdmission({ userInFlight: { limit: 1 }, clock }),
      stream: { bufferBytes: 4096, stallMs: 5000 },
      openTelemetry: false,
      clock,
    });
    const handle = fetchGateway({ guard, clock, subject: () => "alice" });
    const answer = handle(post(undefined, streamed));
    await turn();
    provider.last().emit(...Array.from({ length: 100 }, () => delta("x")));
    // Kept, and never read: as by a host that lost its client without a word.
    const response = await answer;
    await clock.advanceAsync(4900);
    expect(guard.inFlight).toBe(1);
    await clock.advanceAsync(200);
    expect(guard.inFlight).toBe(0);
    expect(provider.last().asked.signal.aborted).toBe(true);
    expect(await last(response)).toContain('"code":"CLIENT_ABORTED"');
    const next = handle(post(undefined, streamed));
    await turn();
    expect(provider.calls).toHaveLength(2);
    provider.last().emit(delta("hi"), { type: "finish" });
    await last(await next);
  });

  it("I13 ends a stream that is killed with its terminal event", async () => {
    const { handle, provider, guard } = opened();
    const answer = handle(post(undefined, streamed));
    await turn();
    provider.last().emit(delta("hi "));
    const response = await answer;
    guard.kill();
    expect(await last(response)).toContain('"type":"failed"');
  });

  it("hands the very request over, its body unread, where the gates divert", async () => {
    const seen: Request[] = [];
    const legacy = (request: Request): Promise<Response> => {
      seen.push(request);
      return legacyEcho(request);
    };
    const { handle } = opened({ enabled: false }, { legacy });
    const request = post();
    const response = await handle(request);
    expect(seen).toEqual([request]);
    expect(response.headers.get("sluice-path")).toBe("legacy");
    expect(await response.text()).toBe(`${legacyReply}: ${JSON.stringify(hello)}`);
  });

  it("adds its headers also to a response whose headers are fixed, and to none that can't be made again", async () => {
    for (const made of [() => Response.redirect("http://app.test/", 303), () => Response.error()]) {
      const { handle } = opened({ enabled: false }, { legacy: made });
      const response = await handle(post());
      expect(response.status).toBe(made().status);
      expect(response.headers.get("location")).toBe(made().headers.get("location"));
      expect(response.headers.has("sluice-path")).toBe(response.status !== 0);
    }
  });

  it("answers by the stub where there is no legacy handler", async () => {
    const { handle } = opened({ enabled: false });
    expect(await (await handle(post())).json()).toEqual({ status: "STUB", reply: "the stub" });
  });

  it.each([
    ["no JSON", () => post("{"), 400],
    ["no body", () => new Request("http://app.test/", { method: "POST" }), 400],
    ["another type", () => post("a=b", { headers: { "content-type": "text/plain" } }), 415],
    [
      "another character set",
      () => post("{}", { headers: { "content-type": "application/json; charset=koi8-r" } }),
      415,
    ],
    ["an unknown packing", () => post("{}", { headers: { "content-encoding": "zstd" } }), 415],
    ["more than it may be", () => post("x".repeat(2000)), 413],
    ["more than it may be, chunk by chunk", () => chunked("x".repeat(600), "x".repeat(600)), 413],
    ["another form", () => post('{"messages":[]}'), 400],
  ])("refuses %s, and calls nobody", async (_what, made, status) => {
    for (const legacy of [undefined, legacyEcho]) {
      const more = legacy === undefined ? {} : { legacy };
      const { handle, provider } = opened({}, { bodyLimitBytes: 1000, ...more });
      const response = await handle(made());
      expect(response.status).toBe(status);
      expect(response.headers.get("content-type")).toContain("problem+json");
      expect(provider.calls).toHaveLength(0);
    }
  });

  it.each([
    ["no JSON", () => post("{")],
    [
      "a form",
      () => post("a=b", { headers: { "content-type": "application/x-www-form-urlencoded" } }),
    ],
    ["more than it may be", () => chunked("x".repeat(600), "y".repeat(600))],
  ])("leaves %s to the legacy handler, all of it, where the gates divert", async (_what, made) => {
    const { handle } = opened({ enabled: false }, { legacy: legacyEcho, bodyLimitBytes: 1000 });
    const response = await handle(made());
    expect(await response.text()).toBe(`${legacyReply}: ${await made().text()}`);
  });

  it("reads what an earlier hand has packed", async () => {
    const { handle } = opened({ provider: answering() });
    const packed = new Blob([JSON.stringify(hello)])
      .stream()
      .pipeThrough(new CompressionStream("gzip"));
    const request = post(packed, { duplex: "half", headers: { "content-encoding": "gzip" } });
    expect((await handle(request)).status).toBe(200);
  });

  it("rejects for a body that something has read before", async () => {
    const { handle } = opened();
    const request = post();
    await request.text();
    await expect(handle(request)).rejects.toThrow(TypeError);
  });

  it("tells of a client that left while it sent, to nobody", async () => {
    const client = new AbortController();
    const body = new ReadableStream({
      start(controller) {
        client.signal.addEventListener("abort", () => controller.error(new Error("gone")));
      },
    });
    const { handle, provider, of } = opened();
    const answer = handle(post(body, { duplex: "half", signal: client.signal }));
    await turn();
    client.abort();
    expect((await answer).status).toBe(499);
    expect(provider.calls).toHaveLength(0);
    await turn();
    expect(await of("response")).toMatchObject([{ status: 499 }]);
  });

  it("tells the guard what the application says of a request", async () => {
    const { handle, provider } = opened(
      { provider: answering() },
      {
        subject: (request) => Promise.resolve(request.headers.get("x-user") ?? ""),
        attributes: () => ({ plan: "pro" }),
        run: () => "run-1",
        requestId: () => "request-1",
      },
    );
    await handle(post(undefined, { headers: { "x-user": "bob" } }));
    expect(provider.last().asked.input).toEqual(hello);
  });

  it("hands on what goes on after the response, and survives a host that refuses it", async () => {
    const works: Promise<unknown>[] = [];
    const { handle, provider } = opened({}, { waitUntil: (work) => void works.push(work) });
    const answer = handle(post(undefined, streamed));
    await turn();
    provider.last().emit(delta("hi "));
    const response = await answer;
    expect(await Promise.race([works[0], turn("goes on")])).toBe("goes on");
    provider.last().emit({ type: "finish" });
    await last(response);
    expect(await Promise.race([works[0], turn("goes on")])).toBeUndefined();

    const refusing = opened(
      { provider: answering() },
      {
        waitUntil() {
          throw new Error("outside a request");
        },
      },
    );
    expect((await refusing.handle(post())).status).toBe(200);
  });

  it("rejects with what the application's own functions throw", async () => {
    const fault = new Error("no session");
    const { handle, of } = opened({}, { subject: () => Promise.reject(fault) });
    await expect(handle(post())).rejects.toBe(fault);
    await turn();
    expect(await of("response")).toMatchObject([{ status: 500 }]);
  });
});

describe("the statuses of a Fetch host", () => {
  it("are counted once, with the arm that answered and when", async () => {
    const { handle, guard, clock, provider, of } = opened();
    const counted = countResponses(guard, handle, clock);
    const answer = counted(post(undefined, streamed));
    await turn();
    await clock.advanceAsync(70);
    provider.last().emit(delta("hi"));
    const response = await answer;
    await clock.advanceAsync(500);
    provider.last().emit({ type: "finish" });
    await last(response);
    await turn();
    expect(await of("response")).toMatchObject([{ status: 200, arm: "ai", firstByteMs: 70 }]);
  });

  it("are counted where the gateway was never asked", async () => {
    const { guard, of } = opened();
    const refusing = countResponses(guard, () => new Response("who are you?", { status: 401 }));
    expect((await refusing(post())).status).toBe(401);
    await turn();
    expect(await of("response")).toMatchObject([{ status: 401 }]);
  });
});

describe("a gateway of a Fetch host that is off", () => {
  it("returns what the legacy handler returns, and looks at nothing", () => {
    const response = new Response("as ever");
    const seen: unknown[] = [];
    const chat = openChat();
    const handle = fetchGateway({
      guard: chat.guard,
      subject: () => {
        throw new Error("never asked");
      },
      legacy: (request: Request, context: { readonly user: string }) => {
        seen.push(request, context);
        return response;
      },
    });
    const request = new Request("http://app.test/", { method: "POST", body: "a" });
    const { body } = request;
    const context = { user: "alice" };
    expect(handle(request, context)).toBe(response);
    expect(seen).toEqual([request, context]);
    expect(request.body).toBe(body);
    expect(request.bodyUsed || body?.locked).toBe(false);
  });

  it("throws at once what the legacy handler throws at once", () => {
    const fault = new Error("as ever");
    const { handle } = opened(
      { on: {} },
      {
        legacy() {
          throw fault;
        },
      },
    );
    expect(() => handle(post())).toThrow(fault);
  });

  it.each([{}, { ...authoritative, FF_CHAT_GATEWAY_SHADOW: true }])(
    "has nothing to answer with where there is no legacy handler: %j",
    async (on) => {
      const { handle, provider } = opened({ on });
      const response = await handle(post());
      expect(response.status).toBe(503);
      expect(await response.text()).toContain("there is no legacy handler");
      expect(provider.calls).toHaveLength(0);
    },
  );

  it("is made with options that are known", () => {
    const { guard } = openChat();
    expect(() => fetchGateway({ guard, subject: () => "a", legcay: legacyEcho } as never)).toThrow(
      "fetchGateway.legcay",
    );
    expect(() => fetchGateway({ guard } as never)).toThrow("fetchGateway.subject");
  });
});

function piecesOf(response: Response) {
  const body: ReadableStream<Uint8Array> | null = response.body;
  const reader = body?.getReader();
  const utf8 = new TextDecoder();
  return {
    async next(): Promise<string | undefined> {
      const read = await reader?.read();
      return read?.done === false ? utf8.decode(read.value) : undefined;
    },
  };
}

/** What a stream ends with. */
async function last(response: Response): Promise<string | undefined> {
  return (await response.text()).trim().split("\n\n").at(-1);
}
