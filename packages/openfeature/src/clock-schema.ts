import type { Clock } from "@sluice/contract";
import { z } from "zod";

const methods = ["monotonicMs", "wallMs", "after", "every"] as const;

/** For options that take a clock. */
export const clockSchema = z.custom<Clock>(
  (value) =>
    typeof value === "object" &&
    value !== null &&
    methods.every((name) => typeof (value as Partial<Clock>)[name] === "function"),
  { error: "a clock" },
);
