import { z } from "zod";

/** For options that take a function; its parameters are its caller's to type. */
export const functionSchema = z.custom<(...args: never[]) => unknown>(
  (value) => typeof value === "function",
  { error: "a function" },
);
