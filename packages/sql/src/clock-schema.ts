import { functionSchema } from "@sluice/contract";
import { z } from "zod";

/** A `Clock`, which is its caller's own object and stays as it is. */
export const clockSchema = z.object({
  wallMs: functionSchema,
  monotonicMs: functionSchema,
  every: functionSchema,
  after: functionSchema,
});
