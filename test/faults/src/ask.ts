import type { GuardRequest, Outcome } from "@sluice/contract";
import type { Mode } from "./expectations.ts";
import { question } from "./feature-guard.ts";
import type { GuardBench } from "./guard-bench.ts";

/** One request as its caller saw it. */
export interface Answer {
  readonly outcome: Outcome<unknown, unknown, unknown>;
  /** Kinds of a stream's events in order; none of a whole answer. */
  readonly events: readonly string[];
  readonly text: string;
  /** A stream's head came with content: nothing is free to the host any more. */
  readonly committed: boolean;
  readonly ms: number;
}

/**
 * Makes one request and reads all of it.
 * @param onPiece called with how many pieces of content came so far
 */
export async function ask(
  { guard }: Pick<GuardBench, "guard">,
  mode: Mode,
  request: GuardRequest,
  onPiece: (pieces: number) => void = () => undefined,
): Promise<Answer> {
  const startedMs = performance.now();
  if (mode === "generate") {
    const outcome = await guard.run(question, request);
    const ms = performance.now() - startedMs;
    return { outcome, events: [], text: "", committed: false, ms };
  }
  const stream = guard.stream(question, request);
  const events: string[] = [];
  let text = "";
  let pieces = 0;
  for await (const event of stream) {
    events.push(event.type);
    if (event.type !== "text-delta") continue;
    text += event.text;
    pieces += 1;
    onPiece(pieces);
  }
  const outcome = await stream.outcome;
  const ms = performance.now() - startedMs;
  return { outcome, events, text, committed: !("outcome" in (await stream.head)), ms };
}
