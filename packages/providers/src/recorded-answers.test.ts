import { existsSync, readFileSync, realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { FailureCode, type ProviderCall, type ProviderReply } from "@sluice/contract";
import { startProcess, type RunningProcess } from "@sluice/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { openaiProvider } from "./openai-provider.ts";

/** 391 answers as OpenAI and compatible hosts really gave them; kept beside the repository. */
const wire = fileURLToPath(new URL("../../../../shared/data/wire/", import.meta.url));

const rowSchema = z.object({
  id: z.string(),
  file: z.string(),
  status: z.int(),
  api: z.string().optional(),
  stream: z.boolean().optional(),
  official_client: z.object({ ok: z.boolean() }).nullish(),
});
type Row = z.output<typeof rowSchema>;

const rowsOf = (manifest: string): readonly Row[] =>
  readFileSync(wire + manifest, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => rowSchema.parse(JSON.parse(line)));

const answerSchema = z.object({
  choices: z.tuple(
    [z.object({ finish_reason: z.string(), message: z.object({ content: z.string() }) })],
    z.unknown(),
  ),
});

/** Codes and numbers, and nothing that could hold a text of the upstream. */
const failureReplySchema = z.strictObject({
  ok: z.literal(false),
  code: z.enum(FailureCode),
  dispatched: z.boolean(),
  usage: z.strictObject({ inputTokens: z.int(), outputTokens: z.int() }).optional(),
  httpStatus: z.int().optional(),
  retryAfterMs: z.number().optional(),
});

const callsAtOnce = 8;

describe.skipIf(!existsSync(wire))("a recorded answer", () => {
  let replay: RunningProcess;
  let port: string | undefined;
  const replies = new Map<Row, ProviderReply>();

  beforeAll(async () => {
    // A module that looks whether it is the one that was started knows itself by its real path.
    replay = startProcess(realpathSync(`${wire}replay-server.mjs`), { args: ["0"] });
    [, port] = await replay.printed(/ on (\d+)/);
    const rows = [
      ...rowsOf("manifest.jsonl").filter(({ api, stream }) => api === "chat" && stream === false),
      ...rowsOf("quoted/manifest.jsonl").filter(({ file }) => !file.endsWith(".sse")),
    ];
    const asking = rows[Symbol.iterator]();
    await Promise.all(
      Array.from({ length: callsAtOnce }, async () => {
        for (const row of asking) replies.set(row, await replyOf(row.id));
      }),
    );
  }, 30_000);
  afterAll(() => replay.kill());

  /** Rejects, and so fails the suite, where the provider throws or hangs. */
  function replyOf(id: string): Promise<ProviderReply> {
    const call: ProviderCall<string> = {
      input: "hello",
      schema: {},
      maxOutputTokens: 20,
      reserved: undefined,
      signal: AbortSignal.timeout(10_000),
      idempotencyKey: "key-1",
      measure: () => undefined,
    };
    const baseUrl = `http://127.0.0.1:${port}/${id}/v1`;
    return openaiProvider<string>({
      model: "m",
      apiKey: "sk-test",
      baseUrl,
      prompt: (text) => text,
    }).generate(call);
  }

  it("has a reply, each of them", () => {
    expect(replies.size).toBeGreaterThan(350);
  });

  it("is a success only where the official client succeeded", () => {
    const wrong = [...replies].filter(
      ([row, reply]) => reply.ok && row.official_client?.ok !== true,
    );
    expect(wrong).toEqual([]);
  });

  it("that stopped with text is that text", () => {
    let texts = 0;
    for (const [row, reply] of replies) {
      const answer = answerSchema.safeParse(parsed(row));
      if (row.status !== 200 || !answer.success) continue;
      const [{ message, finish_reason }] = answer.data.choices;
      if (finish_reason !== "stop") continue;
      texts += 1;
      expect(reply, row.id).toMatchObject({ ok: true, output: { text: message.content } });
    }
    expect(texts).toBeGreaterThan(200);
  });

  it("that failed shows nothing of the upstream's words", () => {
    for (const [row, reply] of replies) {
      if (reply.ok) continue;
      expect(failureReplySchema.safeParse(reply).error, row.id).toBeUndefined();
    }
  });

  function parsed({ file }: Row): unknown {
    try {
      return JSON.parse(readFileSync(wire + file, "utf8"));
    } catch {
      return undefined;
    }
  }
});
