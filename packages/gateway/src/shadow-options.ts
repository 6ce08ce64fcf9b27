import { functionSchema } from "@sluice/contract";
import { z } from "zod";

/** What runs beside the legacy handler; never on its path, never in anybody's limits. */
export interface ShadowSettings<Ok> {
  /** The share of requests, 0 to 1, for which the model is really asked. Default 0: the gates alone. */
  readonly mirrorShare?: number;
  /** Mirrored calls at the same time; beyond it a request is only checked. Default 4. */
  readonly maxMirrors?: number;
  /** What all mirrored calls of a day (UTC) and of this process may cost. Needed once `mirrorShare` is over 0. */
  readonly costNanoUsdPerDay?: number;
  /** The most output tokens of a mirrored call. Default: that of the guard's budget. */
  readonly maxOutputTokens?: number;
  /** Fields of the answer that should be equal in both; compared as JSON. At most 16. */
  readonly equal?: readonly (keyof Ok & string)[];
  /** Whose length and words are compared. Default: the contract's text field, else the whole answer as JSON. */
  readonly text?: keyof Ok & string;
  /** The legacy answer as the contract's value, where its JSON has another form. Pure; what it throws is "not valid". */
  readonly fromLegacy?: (body: unknown) => unknown;
  /** Requests watched at the same time; beyond it they are counted and left alone. Default 256. */
  readonly maxWatched?: number;
  /** A body larger than this is not looked at. Default 64 KiB. */
  readonly bodyLimitBytes?: number;
  /** Of the legacy answer, for parity; a longer one is not compared. Default 64 KiB. */
  readonly answerLimitBytes?: number;
  /** 0 to 1, for sampling. Default: the machine's. */
  readonly random?: () => number;
}

const fieldName = z.string().regex(/^[a-z][A-Za-z0-9_]{0,40}$/, {
  error: "a name of letters, digits and _, at most 41",
});

export const shadowSchema = z
  .strictObject({
    mirrorShare: z.number().min(0).max(1).default(0),
    maxMirrors: z.int().min(1).max(1000).default(4),
    costNanoUsdPerDay: z.int().min(1).max(Number.MAX_SAFE_INTEGER).optional(),
    maxOutputTokens: z.int().min(1).optional(),
    equal: z.array(fieldName).max(16).default([]),
    text: fieldName.optional(),
    fromLegacy: functionSchema.optional(),
    maxWatched: z.int().min(1).max(100_000).default(256),
    bodyLimitBytes: z
      .int()
      .min(1)
      .max(16 * 1024 * 1024)
      .default(64 * 1024),
    answerLimitBytes: z
      .int()
      .min(1)
      .max(16 * 1024 * 1024)
      .default(64 * 1024),
    random: functionSchema.optional(),
  })
  .refine(
    ({ mirrorShare, costNanoUsdPerDay }) => mirrorShare === 0 || costNanoUsdPerDay !== undefined,
    {
      path: ["costNanoUsdPerDay"],
      error: "a cap on what mirrored calls cost, in nano-dollars a day",
    },
  )
  .prefault({});

type Parsed = z.output<typeof shadowSchema>;

/** The settings with their defaults. */
export type ShadowDefaults = Omit<Parsed, "random" | "fromLegacy"> &
  Pick<ShadowSettings<unknown>, "random" | "fromLegacy">;
