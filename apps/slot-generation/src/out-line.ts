import { FailureCode, Reason, type Outcome } from "@sluice/contract";
import { z } from "zod";
import { SlotsFailed, SlotsOk, SlotsStub } from "./slots-contract.ts";

const base = { id: z.string() };

/** One line of the out file: a finished job. */
const outLineSchema = z.discriminatedUnion("path", [
  z.strictObject({
    ...base,
    path: z.literal("ai"),
    value: SlotsOk,
    inputTokens: z.int().nonnegative().optional(),
    outputTokens: z.int().nonnegative().optional(),
    costNanoUsd: z.int().nonnegative().optional(),
  }),
  z.strictObject({ ...base, path: z.literal("stub"), reason: z.enum(Reason), value: SlotsStub }),
  z.strictObject({
    ...base,
    path: z.literal("failed"),
    code: z.enum(FailureCode),
    value: SlotsFailed,
  }),
]);

export type OutLine = z.infer<typeof outLineSchema>;

export type SlotsOutcome = Outcome<
  z.infer<typeof SlotsOk>,
  z.infer<typeof SlotsFailed>,
  z.infer<typeof SlotsStub>
>;

/** Undefined for text that is no line of an out file. */
export function parseOutLine(text: string): OutLine | undefined {
  try {
    return outLineSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
