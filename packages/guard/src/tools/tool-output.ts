import type { ToolFailure } from "@sluice/contract";

/** What the model reads of a tool's value: JSON; undefined when it is larger than `maxBytes`. */
export function toToolOutput(value: unknown, maxBytes: number): string | undefined {
  // A value that JSON has no form for, as what a tool without a result returns, is null.
  const text = (JSON.stringify(value) as string | undefined) ?? "null";
  return Buffer.byteLength(text) <= maxBytes ? text : undefined;
}

/** What the model reads instead: the code and nothing else. */
export function toErrorOutput(code: ToolFailure): string {
  return JSON.stringify({ error: code });
}
