import type { ProviderCall, ProviderEvent } from "@sluice/contract";
import { chatCompletion, sendJson, startUpstream, type UpstreamAnswer } from "@sluice/testkit";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { openaiProvider, type OpenaiProviderOptions } from "./openai-provider.ts";

/** Stands in every upstream text that is no content; no event may hold it. */
const sentinel = "sentinel-7f3a";

const call = (more: Partial<ProviderCall<string>> = {}): ProviderCall<string> => ({
  input: "Hi",
  schema: undefined,
  tools: [],
  steps: [],
  maxOutputTokens: undefined,
  reserved: undefined,
  signal: new AbortController().signal,
  idempotencyKey: "key-1",
  measure: () => undefined,
  ...more,
});

async function start(answer: UpstreamAnswer, options: Partial<OpenaiProviderOptions<string>> = {}) {
  const upstream = await startUpstream(answer);
  onTestFinished(() => upstream.close());
  const provider = openaiProvider<string>({
    model: "m",
    apiKey: "sk-secret",
    baseUrl: upstream.url,
    prompt: (text) => text,
    ...options,
  });
  const stream = (more?: Partial<ProviderCall<string>>) =>
    provider.stream?.(call(more)) as AsyncGenerator<ProviderEvent>;
  return { upstream, provider, stream };
}

async function all(events: AsyncIterable<ProviderEvent>): Promise<readonly ProviderEvent[]> {
  const seen: ProviderEvent[] = [];
  for await (const event of events) seen.push(event);
  expect(JSON.stringify(seen)).not.toMatch(/sentinel-7f3a|sk-secret/);
  return seen;
}

const typeSse = { "content-type": "text/event-stream" };
const frame = (content: string, finish: string | null = null): string =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content }, finish_reason: finish }] })}\n\n`;
const done = "data: [DONE]\n\n";
const sse =
  (...parts: readonly string[]): UpstreamAnswer =>
  (res) =>
    void res.writeHead(200, typeSse).end(parts.join(""));
const good = sse(frame("Hel"), frame("lo"), frame("", "stop"), done);
const words = (events: readonly ProviderEvent[]): string =>
  events.map((event) => (event.type === "text-delta" ? event.text : `<${event.type}>`)).join("");
const failureOf = (events: readonly ProviderEvent[]) => {
  const last = events.at(-1);
  return last?.type === "failed" ? last.failure : last?.type;
};

describe("a streamed call", () => {
  it("asks for a stream and for its usage", async () => {
    const { upstream, stream } = await start(good);
    expect(words(await all(stream()))).toBe("Hello<progress><finish>");
    const [request] = upstream.requests;
    expect(JSON.parse(request?.body ?? "")).toEqual({
      model: "m",
      messages: [{ role: "user", content: "Hi" }],
      stream: true,
      stream_options: { include_usage: true },
    });
    expect(request?.headers).toMatchObject({
      accept: "text/event-stream",
      authorization: "Bearer sk-secret",
      "idempotency-key": "key-1",
    });
  });

  it("begins with its first pull", async () => {
    const { upstream, stream } = await start(good);
    const events = stream();
    expect(upstream.requests).toHaveLength(0);
    await events.return(undefined);
    expect(upstream.requests).toHaveLength(0);
  });

  it("gives each event as soon as it came, and the rest when it comes", async () => {
    const { promise, resolve } = Promise.withResolvers<() => void>();
    const { stream } = await start((res) => {
      res.writeHead(200, typeSse);
      res.write(frame("a"));
      resolve(() => res.end(frame("b", "stop") + done));
    });
    const events = stream();
    expect(await events.next()).toEqual({ done: false, value: { type: "text-delta", text: "a" } });
    (await promise)();
    expect(words(await all(events))).toBe("b<finish>");
  });

  it("of a host that answers with JSON is that answer", async () => {
    const { stream } = await start((res) => sendJson(res, chatCompletion("Hello")));
    expect(await all(stream())).toEqual([
      { type: "text-delta", text: "Hello" },
      { type: "usage", usage: { inputTokens: 12, outputTokens: 5 } },
      { type: "finish" },
    ]);
  });

  it("that is not streamed is understood when the host streams it", async () => {
    const { provider } = await start(good);
    expect(await provider.generate(call())).toMatchObject({ ok: true, output: { text: "Hello" } });
  });

  it.each<[what: string, answer: UpstreamAnswer, code: string]>([
    [
      "an error of its status",
      (res) => sendJson(res, { error: sentinel }, 503),
      "PROVIDER_UNAVAILABLE",
    ],
    [
      "spent quota",
      (res) => sendJson(res, { error: { code: "insufficient_quota" } }, 429),
      "PROVIDER_QUOTA",
    ],
    [
      "a page",
      (res) => void res.writeHead(200, { "content-type": "text/html" }).write(`<html>${sentinel}`),
      "PROVIDER_UNAVAILABLE",
    ],
    ["nothing", sse(), "PROVIDER_UNAVAILABLE"],
    ["no body", (res) => void res.writeHead(204).end(), "PROVIDER_UNAVAILABLE"],
    ["text that is no event", sse(`${sentinel}\n\n${sentinel}\n\n`), "PROVIDER_UNAVAILABLE"],
    [
      "broken JSON",
      (res) => void res.writeHead(200).end(`{"choices": ${sentinel}`),
      "PROVIDER_UNAVAILABLE",
    ],
    ["a broken frame", sse(`data: {"choices": ${sentinel}\n\n`, done), "PROVIDER_UNAVAILABLE"],
    ["comments alone", sse(": ping\n\n", ": ping\n\n"), "PROVIDER_UNAVAILABLE"],
    [
      "an error event",
      sse(`event: error\ndata: {"error":{"message":"${sentinel}","status_code":400}}\n\n`),
      "PROVIDER_BAD_REQUEST",
    ],
    ["a clean end in the middle", sse(frame("a")), "STREAM_CUT"],
    ["an end inside a frame", sse(frame("a"), frame("b", "stop").slice(0, -9)), "STREAM_CUT"],
    [
      "a cut before any event",
      (res) => void res.writeHead(200, typeSse).write("data: ", () => res.socket?.destroy()),
      "STREAM_CUT",
    ],
    [
      "a cut in the middle",
      (res) =>
        void res.writeHead(200, typeSse).write(frame("a"), () => res.socket?.resetAndDestroy()),
      "STREAM_CUT",
    ],
    [
      "a cut inside JSON",
      (res) => void res.writeHead(200).write('{"choices"', () => res.socket?.destroy()),
      "STREAM_CUT",
    ],
    ["a reset before headers", (res) => void res.socket?.resetAndDestroy(), "PROVIDER_UNAVAILABLE"],
  ])("that meets %s fails, and does not throw", async (_, answer, code) => {
    const { stream } = await start(answer);
    const events = await all(stream());
    expect(failureOf(events)).toMatchObject({ ok: false, code, dispatched: true });
  });

  it("S32 that is not streamed has the end of a streamed answer whose body never ends", async () => {
    const { upstream, provider } = await start(
      (res) => void res.writeHead(200, typeSse).write(frame("a", "stop") + done),
    );
    const controller = new AbortController();
    const reply = await provider.generate(call({ signal: controller.signal }));
    expect(reply).toMatchObject({ ok: true, output: { text: "a" } });
    controller.abort();
    await upstream.settled();
  });

  it("that is refused was not dispatched", async () => {
    const { upstream, stream } = await start(good);
    await upstream.close();
    expect(failureOf(await all(stream()))).toEqual({
      ok: false,
      code: "PROVIDER_UNAVAILABLE",
      dispatched: false,
    });
  });

  it("whose last frame lacks its blank line is whole when its body ended well", async () => {
    const { stream } = await start(sse(frame("a"), frame("b", "stop").trimEnd()));
    expect(words(await all(stream()))).toBe("ab<finish>");
  });

  it.each(["\n", "\r", "\r\n"])(
    "may end its lines with %j, and begin with a byte order mark",
    async (end) => {
      const body = `\ufeff: hello\n\n${frame("Hé")}${frame("", "stop")}${done}`;
      const { stream } = await start(sse(body.replaceAll("\n", end)));
      expect(words(await all(stream()))).toBe("<progress>Hé<progress><finish>");
    },
  );
});

describe("an event", () => {
  it("S12 of more than a megabyte is read", async () => {
    const long = "x".repeat(1_200_000);
    const { stream } = await start(sse(frame(long), frame("", "stop"), done));
    expect(words(await all(stream()))).toBe(`${long}<progress><finish>`);
  });

  it("I12 of more than eight megabytes ends the stream and the connection", async () => {
    const piece = "x".repeat(64 * 1024);
    let sent = 0;
    const { upstream, stream } = await start((res) => {
      res.writeHead(200, typeSse).write("data: ");
      const more = (): void => {
        sent += piece.length;
        if (!res.destroyed) res.write(piece, more);
      };
      more();
    });
    expect(failureOf(await all(stream()))).toMatchObject({ code: "PROVIDER_UNAVAILABLE" });
    await upstream.settled();
    expect(sent).toBeLessThan(16 * 1024 * 1024);
  });

  it("I12 after another without end ends the stream at 16 MiB", async () => {
    const events = `data: ${JSON.stringify({ choices: [], pad: "x".repeat(64_000) })}\n\n`;
    const { upstream, stream } = await start((res) => {
      res.writeHead(200, typeSse);
      const more = (): void => {
        if (!res.destroyed) res.write(events, more);
      };
      more();
    });
    expect(failureOf(await all(stream()))).toMatchObject({ code: "PROVIDER_UNAVAILABLE" });
    await upstream.settled();
  });
});

/** A stream that gave one event and hangs. */
async function hanging(options: Partial<OpenaiProviderOptions<string>> = {}) {
  const { upstream, stream } = await start(
    (res) => void res.writeHead(200, typeSse).write(frame("a")),
    options,
  );
  const controller = new AbortController();
  const events = stream({ signal: controller.signal });
  await events.next();
  return { upstream, controller, events };
}

describe("a reader", () => {
  it("who leaves ends the connection", async () => {
    const { upstream, events } = await hanging();
    expect(upstream.open).toBe(1);
    await events.return(undefined);
    await upstream.settled();
  });

  it("who does not read slows the upstream", async () => {
    const piece = frame("x".repeat(16_000));
    let written = 0;
    const { upstream, stream } = await start((res) => {
      res.writeHead(200, typeSse);
      const more = (): void => {
        written += piece.length;
        if (written < 15_000_000 && !res.destroyed) res.write(piece, more);
      };
      more();
    });
    const events = stream();
    await events.next();
    // As many turns as a reader who reads needs for all of it, many times over.
    for (let turn = 0; turn < 2000; turn += 1) await new Promise(setImmediate);
    expect(written).toBeLessThan(14_000_000);
    await events.return(undefined);
    await upstream.settled();
  });

  it("who has the end lets the connection serve again", async () => {
    const sockets = new Set<unknown>();
    const { stream } = await start((res, request) => {
      sockets.add(res.socket);
      good(res, request);
    });
    for (let calls = 0; calls < 4; calls += 1) {
      await all(stream());
      // The end of a body comes after that of its answer.
      for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    }
    expect(sockets.size).toBeLessThan(4);
  });

  it("has the end of an answer whose body never ends, and an abort ends the connection", async () => {
    const { upstream, stream } = await start(
      (res) => void res.writeHead(200, typeSse).write(frame("a", "stop") + done),
    );
    const controller = new AbortController();
    expect(words(await all(stream({ signal: controller.signal })))).toBe("a<finish>");
    expect(upstream.open).toBe(1);
    controller.abort();
    await upstream.settled();
  });

  it("has the end of an answer after which more comes, and the connection ends", async () => {
    const { upstream, stream } = await start((res) => {
      res.writeHead(200, typeSse).write(frame("a", "stop") + done);
      const more = (): void => void (res.destroyed || res.write(": ping\n\n", more));
      more();
    });
    expect(words(await all(stream()))).toBe("a<finish>");
    await upstream.settled();
  });
});

describe("an abort", () => {
  it("while an event is awaited ends the stream and the connection, without a word", async () => {
    const { upstream, controller, events } = await hanging();
    const next = events.next();
    controller.abort();
    expect(await next).toEqual({ done: true, value: undefined });
    await upstream.settled();
  });

  it("before headers ends it too", async () => {
    const { upstream, stream } = await start(() => undefined);
    const controller = new AbortController();
    const next = stream({ signal: controller.signal }).next();
    await upstream.received(1);
    controller.abort();
    expect(await next).toEqual({ done: true, value: undefined });
    await upstream.settled();
  });

  it("before the call makes no request, and says so", async () => {
    const { upstream, stream } = await start(good);
    const events = await all(stream({ signal: AbortSignal.abort() }));
    expect(failureOf(events)).toMatchObject({ ok: false, dispatched: false });
    expect(upstream.requests).toHaveLength(0);
  });

  it("ends a stream of a fetch that does not obey its signal", async () => {
    const { controller, events } = await hanging({
      fetch: (url, init) => fetch(url, { ...init, signal: null }),
    });
    const next = events.next();
    controller.abort();
    expect(await next).toEqual({ done: true, value: undefined });
  });

  it("leaves no listener on a signal that outlives the call", async () => {
    const { stream } = await start(good);
    const { signal } = new AbortController();
    const added = vi.spyOn(signal, "addEventListener");
    const removed = vi.spyOn(signal, "removeEventListener");
    await all(stream({ signal }));
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    expect(added.mock.calls.length).toBeGreaterThan(0);
    expect(removed.mock.calls.length).toBeGreaterThanOrEqual(added.mock.calls.length);
  });
});
