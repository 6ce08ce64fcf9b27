import { z } from "zod";

const value = z.union([z.string(), z.number(), z.boolean()]);

/** The file of `--allowlist`: job ids, or metadata values that must all hold. */
export const allowlistSchema = z.array(
  z.union([
    z.string().min(1),
    z
      .record(z.string(), z.union([value, z.array(value).min(1)]))
      .refine((conditions) => Object.keys(conditions).length > 0, {
        error: "at least one member: an empty rule would permit every job",
      }),
  ]),
);
