import type { ParityFigures } from "@sluice/contract";
import { z } from "zod";

/** Names of fields, which the application gives; no room for content. */
const fieldName = z.string().regex(/^[a-z][A-Za-z0-9_]{0,40}$/);
const maxFields = 16;

const schema = z.strictObject({
  legacyValid: z.boolean(),
  mirrorValid: z.boolean(),
  equal: z
    .record(fieldName, z.boolean())
    .refine((fields) => Object.keys(fields).length <= maxFields),
  lengthDifference: z.number(),
  latencyDifferenceMs: z.number(),
  similarity: z.number().min(0).max(1),
});

/** Figures that hold nothing but numbers and names of fields; undefined for any other. */
export function parityFigures(given: unknown): ParityFigures | undefined {
  const parsed = schema.safeParse(given);
  return parsed.success ? parsed.data : undefined;
}
