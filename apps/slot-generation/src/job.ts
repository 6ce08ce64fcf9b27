import { z } from "zod";
import { maxSlots } from "./slots-contract.ts";

/** A subject of more than 1 KiB is never eligible; so many characters stay below it. */
const maxIdCharacters = 256;

const label = z.string().min(1).max(80).optional();

const jobSchema = z
  .object({
    id: z.string().min(1).max(maxIdCharacters),
    /** What the slots are for, in words. */
    prompt: z.string().min(1),
    /** How many slots. */
    slots: z.int().min(1).max(maxSlots).default(4),
    /** Of all slots together. */
    minutes: z.int().min(1).max(240).default(40),
    /** What allowlist rules look at; other members are kept for them. */
    metadata: z
      .looseObject({
        // Exactly `true` opts in. Anything else is a no, not a malformed line.
        allowAI: z.unknown().optional(),
        subject: label,
        board: label,
        specVersion: label,
        kind: label,
      })
      .prefault({}),
  })
  .refine((job) => job.minutes >= job.slots, {
    path: ["minutes"],
    error: "expected at least one minute a slot",
  });

/** One line of the jobs file. */
export type Job = Readonly<z.output<typeof jobSchema>>;

export type ParsedJob =
  | { readonly ok: true; readonly job: Job }
  /** What is wrong, naming members of the schema only: a line holds content. */
  | { readonly ok: false; readonly fault: string };

export function parseJob(text: string): ParsedJob {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { ok: false, fault: "not JSON" };
  }
  const parsed = jobSchema.safeParse(value);
  if (parsed.success) return { ok: true, job: parsed.data };
  const issue = parsed.error.issues[0];
  if (issue === undefined) return { ok: false, fault: "not a job" };
  const message = issue.message.replace(/^Invalid input: /, "");
  const path = issue.path.map(String).join(".");
  return { ok: false, fault: path === "" ? message : `${path}: ${message}` };
}
