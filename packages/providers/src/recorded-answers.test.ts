import { existsSync, readFileSync, realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  FailureCode,
  type ProviderCall,
  type ProviderEvent,
  type ProviderReply,
} from "@sluice/contract";
import { seededRandom, startProcess, type RunningProcess } from "@sluice/testkit";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { customProvider } from "./custom-provider.ts";
import { answerReader } from "./answer-reader.ts";
import { toReply } from "./to-reply.ts";

/** 716 answers as OpenAI and compatible hosts really gave them, and 23 quoted ones; kept beside the repository. */
const wire = fileURLToPath(new URL("../../../../shared/data/wire/", import.meta.url));

const rowSchema = z.object({
  id: z.string(),
  file: z.string(),
  status: z.int(),
  api: z.string().optional(),
  stream: z.boolean().optional(),
  tags: z.array(z.string()).default([]),
  official_client: z
    .object({
      ok: z.boolean(),
      len: z.int().optional(),
      fr: z.string().nullish(),
      contentType: z.string().optional(),
    })
    .nullish(),
});
type Row = z.output<typeof rowSchema> & { readonly bytes: Buffer };

const rowsOf = (manifest: string): readonly Row[] =>
  readFileSync(wire + manifest, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => rowSchema.parse(JSON.parse(line)))
    .map((row) => ({ ...row, bytes: readFileSync(wire + row.file) }));

const answerSchema = z.object({
  choices: z.tuple(
    [z.object({ finish_reason: z.string(), message: z.object({ content: z.string() }) })],
    z.unknown(),
  ),
});

const chunkSchema = z.object({
  choices: z.array(
    z.object({ index: z.int(), delta: z.object({ content: z.string().nullish() }) }),
  ),
});

/** What each quoted error is, and how long it asks to wait. */
const quoted: Readonly<Record<string, readonly [code: FailureCode, retryAfterMs?: number]>> = {
  "openai-502-cf": ["PROVIDER_UNAVAILABLE"],
  "openai-503-overloaded-2023": ["PROVIDER_UNAVAILABLE"],
  "openai-429-rpm": ["PROVIDER_RATE_LIMITED", 20_000],
  "openai-429-tpm-2023": ["PROVIDER_RATE_LIMITED", 6],
  "openai-429-quota": ["PROVIDER_QUOTA"],
  "openai-ratelimit-headers": ["PROVIDER_RATE_LIMITED"],
  "azure-ratelimit-headers-broken": ["PROVIDER_RATE_LIMITED"],
  "azure-400-content-filter": ["CONTENT_FILTERED"],
  "azure-400-jailbreak": ["CONTENT_FILTERED"],
  "openai-520-empty": ["PROVIDER_UNAVAILABLE"],
  "cloudflare-522-html": ["PROVIDER_UNAVAILABLE"],
  "openai-400-overloaded": ["PROVIDER_UNAVAILABLE"],
  "anthropic-529": ["PROVIDER_UNAVAILABLE"],
  "gemini-503": ["PROVIDER_UNAVAILABLE"],
  "cloudflare-ai-gateway-400-2005": ["PROVIDER_UNAVAILABLE"],
  "openai-500-internal": ["PROVIDER_UNAVAILABLE"],
  "ernie-429-compat": ["PROVIDER_RATE_LIMITED"],
  "openai-503-cf": ["PROVIDER_UNAVAILABLE"],
  "openai-429-come-back-later": ["PROVIDER_RATE_LIMITED"],
  "perplexity-429-tokens": ["PROVIDER_RATE_LIMITED"],
};

/** Codes and numbers, and nothing that could hold a text of the upstream. */
const failureSchema = z.strictObject({
  ok: z.literal(false),
  code: z.enum(FailureCode),
  dispatched: z.boolean(),
  usage: z.strictObject({ inputTokens: z.int(), outputTokens: z.int() }).optional(),
  httpStatus: z.int().optional(),
  retryAfterMs: z.number().optional(),
});

const isTerminal = ({ type }: ProviderEvent): boolean => type === "finish" || type === "failed";

/** The events of a body that comes in slices of one size, and ends or breaks. */
function eventsOf(bytes: Buffer, slice: number, how: "ended" | "cut" = "ended"): ProviderEvent[] {
  const events: ProviderEvent[] = [];
  const reader = answerReader(events, "key-1");
  for (let at = 0; at < bytes.length && !reader.ended; at += slice) {
    reader.feed(bytes.subarray(at, at + slice));
  }
  if (!reader.ended) reader.end(how);
  return events;
}

const codeOf = (reply: ProviderReply): string => (reply.ok ? "ok" : reply.code);
const textOf = (reply: ProviderReply): string | undefined =>
  reply.ok && reply.output.kind === "text" ? reply.output.text : undefined;

const sameCalls = (one: ProviderReply, other: ProviderReply): boolean =>
  one.ok && other.ok && JSON.stringify(one.toolCalls) === JSON.stringify(other.toolCalls);

/** The text that streamed, whatever came of it. */
const streamedText = (events: readonly ProviderEvent[]): string =>
  events.map((event) => (event.type === "text-delta" ? event.text : "")).join("");

/**
 * Where the frame that completes the answer ends, found in another way than ours: the first one with a
 * finish reason, `response.completed`, or else `[DONE]`.
 */
function completeAt(bytes: Buffer): number {
  let at = 0;
  for (const frame of bytes.toString("latin1").split("\n\n")) {
    at += frame.length + 2;
    if (/"finish_reason": ?"[a-z]/.test(frame) && !/"index": ?[1-9]\d*,"delta"/.test(frame))
      return at;
    if (/^data: \{"type": ?"response\.completed"|^event: response\.completed/m.test(frame))
      return at;
    if (frame.includes("data: [DONE]")) return at;
  }
  return at;
}

const sliceOf = (rows: readonly Row[], count: number): readonly Row[] =>
  rows.filter((_, at) => at % Math.ceil(rows.length / count) === 0);

const call = (): ProviderCall<string> => ({
  input: "hello",
  schema: undefined,
  tools: [],
  steps: [],
  maxOutputTokens: 20,
  reserved: undefined,
  signal: AbortSignal.timeout(20_000),
  idempotencyKey: "key-1",
  measure: () => undefined,
});

/** Rejects, and so fails its test, where one throws or hangs. */
async function each(some: readonly Row[], check: (row: Row) => Promise<void>): Promise<void> {
  const asking = some[Symbol.iterator]();
  const checkAll = async (): Promise<void> => {
    for (const row of asking) await check(row);
  };
  await Promise.all(Array.from({ length: 8 }, checkAll));
}

/** The official client hands an array on as it is. */
function partsOf(content: unknown): string {
  const parts = Array.isArray(content) ? (content as { text?: unknown }[]) : [];
  return parts.map(({ text }) => (typeof text === "string" ? text : "")).join("");
}

function parsed({ bytes }: Row): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}

describe.skipIf(!existsSync(wire))("a recorded answer", () => {
  const rows = existsSync(wire)
    ? [...rowsOf("manifest.jsonl"), ...rowsOf("quoted/manifest.jsonl")]
    : [];
  const good = rows.filter(({ status }) => status === 200);
  const streams = good.filter(({ stream, file }) => stream === true || file.endsWith(".sse"));
  const chats = rows.filter(({ api }) => api === "chat");
  const whole = new Map(good.map((row) => [row, eventsOf(row.bytes, row.bytes.length || 1)]));
  const eventsOfRow = (row: Row): readonly ProviderEvent[] => whole.get(row) ?? [];

  it("is there", () => {
    expect([rows.length, streams.length]).toEqual([739, 173]);
  });

  it("has exactly one terminal event, its last", () => {
    for (const [{ id }, events] of whole) {
      expect(events.filter(isTerminal), id).toHaveLength(1);
      expect(events.findIndex(isTerminal), id).toBe(events.length - 1);
    }
  });

  it.each([7, 1])("means the same in slices of %i", { timeout: 60_000 }, (slice) => {
    for (const [{ id, bytes }, events] of whole) {
      expect(eventsOf(bytes, slice), id).toEqual(events);
    }
  });

  it("that is cut succeeds only where the frame that completes it had arrived, and then whole", () => {
    const random = seededRandom(20_261_125);
    const wrong: string[] = [];
    let complete = 0;
    for (const row of streams) {
      const { bytes, id } = row;
      const reply = toReply(eventsOfRow(row));
      const end = completeAt(bytes);
      const cuts = Array.from({ length: 12 }, () => random.integer(0, bytes.length - 1));
      for (const cut of [0, 1, end - 1, end, ...cuts, bytes.length - 1]) {
        const short = toReply(eventsOf(bytes.subarray(0, cut), 4096, "cut"));
        if (!short.ok) continue;
        complete += 1;
        const isWhole =
          cut >= end && textOf(short) === textOf(reply) && sameCalls(short, reply) && reply.ok;
        if (!isWhole) wrong.push(`${id} at ${cut} of ${bytes.length}, complete at ${end}`);
      }
    }
    expect(wrong).toEqual([]);
    expect(complete).toBeGreaterThan(300);
  });

  it("whose body ends too early, as if nothing were wrong, succeeds only with all of its text", () => {
    const random = seededRandom(7);
    const wrong: string[] = [];
    for (const row of good) {
      const reply = toReply(eventsOfRow(row));
      for (let tries = 0; tries < 8; tries += 1) {
        const cut = random.integer(0, Math.max(0, row.bytes.length - 1));
        const early = toReply(eventsOf(row.bytes.subarray(0, cut), 4096));
        if (early.ok && textOf(early) !== textOf(reply)) wrong.push(`${row.id} at ${cut}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it("with one of its frames broken is no success", () => {
    const random = seededRandom(11);
    for (const { id, bytes } of streams) {
      const frames = bytes.toString("latin1").split("\n\n");
      const needed = bytes.toString("latin1", 0, completeAt(bytes)).split("\n\n").length - 1;
      const broken = random.integer(0, Math.max(0, needed - 1));
      const torn = frames.map((frame, at) => (at === broken ? frame.replace(/\}$/, "") : frame));
      const isTorn = torn.join("") !== frames.join("");
      const reply = toReply(eventsOf(Buffer.from(torn.join("\n\n"), "latin1"), 4096));
      // What is no JSON to begin with, the sentinel or a comment, has nothing to break.
      expect(isTorn && reply.ok, `${id} in frame ${broken}`).toBe(false);
    }
  });

  it("that streamed several choices is the first of them", () => {
    const several = streams.filter(({ tags }) => tags.includes("multi_choice"));
    expect(several.length).toBeGreaterThan(2);
    for (const row of several) {
      let text = "";
      for (const [, json] of row.bytes.toString().matchAll(/^data: (\{.*)$/gm)) {
        const { choices } = chunkSchema.parse(JSON.parse(json ?? ""));
        text += choices.find(({ index }) => index === 0)?.delta.content ?? "";
      }
      expect(text, row.id).not.toBe("");
      expect(streamedText(eventsOfRow(row)), row.id).toBe(text);
    }
  });

  it.each([
    ["openai-429-tpm-in-stream", "PROVIDER_RATE_LIMITED", 1574],
    ["openai-responses-overloaded-stream", "PROVIDER_UNAVAILABLE", undefined],
    ["openrouter-error-in-choice", "PROVIDER_UNAVAILABLE", undefined],
    ["0062-pydantic-200-sse", "PROVIDER_BAD_REQUEST", undefined],
    ["1370-vercel-200-sse", "PROVIDER_QUOTA", undefined],
  ])("with an error inside a 200, %s, is %s", (id, code, retryAfterMs) => {
    const row = good.find((candidate) => candidate.id === id);
    const reply = row === undefined ? undefined : toReply(eventsOfRow(row));
    expect({ retryAfterMs: undefined, ...reply }).toMatchObject({ ok: false, code, retryAfterMs });
  });

  it("fails where the official client fails", () => {
    const wrong = [...whole].filter(
      ([{ official_client }, events]) => official_client?.ok === false && toReply(events).ok,
    );
    expect(wrong.map(([{ id }]) => id)).toEqual([]);
  });

  it("that streamed has the text and the end that the official client found", () => {
    let checked = 0;
    for (const row of streams) {
      const { official_client: official, id, tags } = row;
      if (official?.ok !== true) continue;
      // It counted the text of all choices, and none of an array.
      if (tags.includes("multi_choice") || tags.includes("content_is_array")) continue;
      checked += 1;
      const events = eventsOfRow(row);
      expect(streamedText(events).length, id).toBe(official.len);
      const expected = official.fr === "length" ? "OUTPUT_TRUNCATED" : /^ok$|^REFUSED$/;
      expect(codeOf(toReply(events)), id).toMatch(expected);
    }
    expect(checked).toBeGreaterThan(110);
  });

  it("that stopped with text is that text", () => {
    let texts = 0;
    for (const row of good) {
      const answer = answerSchema.safeParse(parsed(row));
      if (!answer.success) continue;
      const [{ message, finish_reason }] = answer.data.choices;
      if (finish_reason !== "stop") continue;
      texts += 1;
      expect(toReply(eventsOfRow(row)), row.id).toMatchObject({
        ok: true,
        output: { text: message.content },
      });
    }
    expect(texts).toBeGreaterThan(200);
  });

  it("of either API and of either kind is understood, but for what is no chat", () => {
    const unread: Record<string, number> = {};
    for (const [{ api }, events] of whole) {
      const code = `${api} ${codeOf(toReply(events))}`;
      if (api === undefined || code.endsWith(" ok")) continue;
      unread[code] = (unread[code] ?? 0) + 1;
    }
    expect(unread).toEqual({
      "chat CONTENT_FILTERED": 1,
      "chat OUTPUT_TRUNCATED": 3,
      "chat REFUSED": 7,
      // A model that wrote nothing at all.
      "chat OUTPUT_NOT_JSON": 1,
      // Groq's own check of a tool call, inside the stream.
      "chat PROVIDER_BAD_REQUEST": 1,
      // Pictures, and the echo of a test's host.
      "chat PROVIDER_UNAVAILABLE": 4,
      "completions OUTPUT_TRUNCATED": 27,
      // Ollama's own protocol.
      "other PROVIDER_UNAVAILABLE": 12,
      // Calls of tools that are the host's own, and nothing else.
      "responses OUTPUT_NOT_JSON": 10,
      "responses PROVIDER_QUOTA": 1,
    });
  });

  describe("over the wire", () => {
    let replay: RunningProcess;
    let port: string | undefined;
    beforeAll(async () => {
      // A module that looks whether it is the one that was started knows itself by its real path.
      replay = startProcess(realpathSync(`${wire}replay-server.mjs`), { args: ["0"] });
      [, port] = await replay.printed(/ on (\d+)/);
    });
    afterAll(() => replay.kill());

    const baseUrlOf = ({ id }: Row): string => `http://127.0.0.1:${port}/${id}/v1`;
    const providerOf = (row: Row, query: Readonly<Record<string, string>> = {}) =>
      customProvider<string>({
        name: "replay",
        baseUrl: baseUrlOf(row),
        model: "m",
        prompt: (text) => text,
        query,
      });
    async function streamed(row: Row, query?: Readonly<Record<string, string>>) {
      const events: ProviderEvent[] = [];
      for await (const event of providerOf(row, query).stream?.(call()) ?? []) events.push(event);
      return events;
    }

    it("is what it is in memory, streamed and whole, each of them", {
      timeout: 60_000,
    }, async () => {
      await each(good, async (row) => {
        expect(await streamed(row), row.id).toEqual(eventsOfRow(row));
        expect(await providerOf(row).generate(call()), row.id).toEqual(toReply(eventsOfRow(row)));
      });
    });

    it("that is an error is a failure of codes and numbers", async () => {
      const errors = rows.filter(({ status }) => status !== 200);
      await each(errors, async (row) => {
        const reply = await providerOf(row).generate(call());
        expect(failureSchema.safeParse(reply).error, row.id).toBeUndefined();
        expect(reply, row.id).toMatchObject({ httpStatus: row.status, dispatched: true });
        expect(await streamed(row), row.id).toEqual([{ type: "failed", failure: reply }]);
      });
      expect(errors.length).toBeGreaterThan(35);
    });

    it.each(Object.entries(quoted))("%s is %j", async (id, [code, retryAfterMs]) => {
      const row = rows.find((candidate) => candidate.id === id);
      const reply = row === undefined ? undefined : await providerOf(row).generate(call());
      const expected = { ok: false, code, retryAfterMs, httpStatus: row?.status };
      expect({ retryAfterMs: undefined, ...reply }).toMatchObject(expected);
    });

    it.each([{ split: "7" }, { split: "1" }, { ttft: "40" }])(
      "with %j means the same",
      { timeout: 60_000 },
      async (query) => {
        const small = good.filter(({ bytes }) => bytes.length < 6000);
        await each(sliceOf(small, 40), async (row) => {
          expect(await streamed(row, query), row.id).toEqual(eventsOfRow(row));
        });
      },
    );

    it("that is cut is never a success that lacks anything", { timeout: 60_000 }, async () => {
      const random = seededRandom(3);
      const wrong: string[] = [];
      await each(sliceOf(good, 60), async (row) => {
        const cut = random.integer(1, row.bytes.length - 1);
        const query = { cut: String(cut) };
        const reply = toReply(await streamed(row, query));
        if (reply.ok && cut < completeAt(row.bytes)) wrong.push(`${row.id} streamed`);
        // Whole, an answer that was cut is none.
        if ((await providerOf(row, query).generate(call())).ok) wrong.push(`${row.id} whole`);
      });
      expect(wrong).toEqual([]);
    });

    /** What the official client's classes leave open, and what each of them is at least. */
    const atLeast: Readonly<Record<string, RegExp>> = {
      AuthenticationError: /^PROVIDER_AUTH$/,
      PermissionDeniedError: /^(?:PROVIDER_AUTH|CONTENT_FILTERED)$/,
      NotFoundError: /^PROVIDER_BAD_REQUEST$/,
      UnprocessableEntityError: /^PROVIDER_BAD_REQUEST$/,
      RateLimitError: /^PROVIDER_(?:RATE_LIMITED|QUOTA|BAD_REQUEST)$/,
      InternalServerError: /^PROVIDER_(?:UNAVAILABLE|TIMEOUT)$/,
      BadRequestError: /^(?:PROVIDER_.*|CONTENT_FILTERED)$/,
    };
    const anyFailure = /^(?!ok$)/;
    /** Text that the official client hands on although it is not the whole answer. */
    const partial: Readonly<Record<string, string>> = {
      length: "OUTPUT_TRUNCATED",
      content_filter: "CONTENT_FILTERED",
      error: "PROVIDER_UNAVAILABLE",
    };

    it("is read at least as well as by the official client", { timeout: 60_000 }, async () => {
      const wrong: string[] = [];
      let same = 0;
      const errors = rows.filter(({ status }) => status !== 200);
      await each([...chats.filter(({ status }) => status === 200), ...errors], async (row) => {
        const reply =
          row.stream === true
            ? toReply(await streamed(row))
            : await providerOf(row).generate(call());
        const official = await officially(row);
        const { error, text, finish = "" } = official;
        const expected = partial[finish] ?? (official.refused ? "REFUSED" : "ok");
        const isRight =
          error !== undefined
            ? (atLeast[error] ?? anyFailure).test(codeOf(reply))
            : reply.ok
              ? expected === "ok" && textOf(reply) === text
              : text === "" || codeOf(reply) === expected;
        if (!isRight) wrong.push(`${row.id} ${official.error} ${codeOf(reply)}`);
        if (error === undefined && reply.ok && text !== "") same += 1;
      });
      expect(wrong).toEqual([]);
      expect(same).toBeGreaterThan(250);
    });

    interface Official {
      readonly error?: string;
      readonly text?: string;
      readonly finish?: string | undefined;
      readonly refused?: boolean;
    }

    async function officially(row: Row): Promise<Official> {
      const client = new OpenAI({
        apiKey: "sk-test",
        baseURL: baseUrlOf(row),
        maxRetries: 0,
        logLevel: "off",
      });
      const body = { model: "m", messages: [{ role: "user" as const, content: "hello" }] };
      try {
        if (row.stream !== true) {
          const { choices } = await client.chat.completions.create({ ...body });
          const { message, finish_reason: finish } = choices?.[0] ?? {};
          const content: unknown = message?.content;
          return {
            text: typeof content === "string" ? content : partsOf(content),
            finish: finish ?? undefined,
            refused: Boolean(message?.refusal),
          };
        }
        let text = "";
        let finish: string | undefined;
        let refused = false;
        for await (const { choices } of await client.chat.completions.create({
          ...body,
          stream: true,
        })) {
          const first = choices.find(({ index }) => index === 0);
          const content: unknown = first?.delta?.content;
          text += typeof content === "string" ? content : partsOf(content);
          finish = first?.finish_reason ?? finish;
          refused ||= Boolean(first?.delta?.refusal);
        }
        return { text, finish, refused };
      } catch (error) {
        return { error: error instanceof Error ? error.constructor.name : "" };
      }
    }
  });
});
