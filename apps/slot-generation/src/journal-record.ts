import { z } from "zod";

const count = z.int().nonnegative();

/** The jobs file as it was when a start read it. */
const fingerprintSchema = z.strictObject({ bytes: count, sha256: z.string().length(64) });

/** Caps on the whole batch. */
const capsSchema = z.strictObject({
  calls: count,
  tokens: count,
  costNanoUsd: count.optional(),
});

/** One line of the journal. It holds ids and numbers, no content. */
const journalRecordSchema = z.discriminatedUnion("type", [
  /** One for each start of the command. */
  z.strictObject({
    type: z.literal("start"),
    v: z.literal(1),
    jobs: fingerprintSchema,
    caps: capsSchema,
    /** Whether the AI path was open then. */
    open: z.boolean(),
  }),
  /** Durable before a request leaves: what the budget set aside for it. */
  z.strictObject({
    type: z.literal("dispatched"),
    call: count,
    job: z.string(),
    idempotencyKey: z.string(),
    inputTokens: count,
    outputTokens: count,
    costNanoUsd: count,
  }),
  /** What the call really used. */
  z.strictObject({
    type: z.literal("settled"),
    call: count,
    inputTokens: count,
    outputTokens: count,
    costNanoUsd: count,
  }),
  /** Nothing of the call left this machine. */
  z.strictObject({ type: z.literal("voided"), call: count }),
]);

export type Fingerprint = z.infer<typeof fingerprintSchema>;
export type BatchCaps = z.infer<typeof capsSchema>;
export type JournalRecord = z.infer<typeof journalRecordSchema>;
export type DispatchedRecord = Extract<JournalRecord, { type: "dispatched" }>;
export type StartRecord = Extract<JournalRecord, { type: "start" }>;

/** Undefined for text that is no record. */
export function parseJournalRecord(text: string): JournalRecord | undefined {
  try {
    return journalRecordSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
