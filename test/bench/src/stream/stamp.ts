import { monotonicMs } from "./monotonic-ms.ts";

/** A piece of text that says when it was sent. */
export function stamp(): string {
  return ` at ${monotonicMs().toFixed(4)}`;
}

/** How long ago a piece was sent, in milliseconds; undefined for what is no single piece. */
export function age(text: string): number | undefined {
  const [before, sentMs, ...more] = text.split(" at ");
  const ageMs = monotonicMs() - Number(sentMs);
  return before === "" && more.length === 0 && ageMs >= 0 ? ageMs : undefined;
}
