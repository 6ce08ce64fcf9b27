import type { Clock, ToolFailure } from "@sluice/contract";
import type { ToolContext } from "./define-tools.ts";
import type { PreparedTool } from "./prepare-tools.ts";
import { toToolOutput } from "./tool-output.ts";
import type { TurnStop } from "./turn-stop.ts";

export type ToolEnd =
  | { readonly ok: true; readonly output: string }
  | { readonly ok: false; readonly code: ToolFailure };

/**
 * Runs a tool once. The answer to its timeout or a stop does not wait for a tool that ignores its signal;
 * such a tool goes on without a place in the queue, because nothing can end it.
 */
export async function runTool(
  { tool, timeoutMs, spec }: PreparedTool,
  args: Record<string, unknown>,
  context: Omit<ToolContext, "signal">,
  around: {
    readonly clock: Clock;
    readonly stop: TurnStop;
    /** When the request ends at the latest, by the monotonic clock. */
    readonly deadlineMs: number;
    readonly maxResultBytes: number;
    readonly onThrow: (what: string) => void;
  },
): Promise<ToolEnd> {
  const controller = new AbortController();
  const { promise: cut, resolve } = Promise.withResolvers<ToolEnd>();
  let isCut = false;
  const cutBy = (code: ToolFailure): void => {
    isCut = true;
    resolve({ ok: false, code });
    controller.abort();
  };
  const leftMs = around.deadlineMs - around.clock.monotonicMs();
  const cancelTimer = around.clock.after(Math.min(timeoutMs, leftMs), () =>
    cutBy(timeoutMs <= leftMs ? "TOOL_TIMEOUT" : "STOPPED"),
  );
  const offStop = around.stop.onStop(() => cutBy("STOPPED"));

  const finish = async (): Promise<ToolEnd> => {
    try {
      const value = await tool.run(args, { ...context, signal: controller.signal });
      const output = toToolOutput(value, around.maxResultBytes);
      return output === undefined ? { ok: false, code: "RESULT_TOO_LARGE" } : { ok: true, output };
    } catch {
      // What it threw is the tool's own, and may hold anything. Once it was cut nobody waits for it.
      if (!isCut) around.onThrow(`the tool ${spec.name}`);
      return { ok: false, code: "TOOL_THREW" };
    }
  };

  try {
    // First: a tool may turn the abort into an end of its own.
    return await Promise.race([cut, finish()]);
  } finally {
    cancelTimer();
    offStop();
  }
}
