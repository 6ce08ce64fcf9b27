import {
  Reason,
  toolFailures,
  type AdmissionStore,
  type Clock,
  type NewId,
  type Switches,
  type ToolCall,
  type ToolFailure,
  type ToolRecord,
} from "@sluice/contract";
import type { GateSetting } from "../gates/gate.ts";
import { askToolRate } from "./ask-tool-rate.ts";
import type { ParsedCall } from "./parse-call.ts";
import { runTool, type ToolEnd } from "./run-tool.ts";
import type { ToolQueue } from "./tool-queue.ts";
import { toErrorOutput } from "./tool-output.ts";
import type { TurnStop } from "./turn-stop.ts";

/** The request that tools run for. */
export interface ToolRun {
  readonly subject: string;
  readonly run: string | undefined;
  readonly switches?: Switches | undefined;
  readonly requestId: string;
  /** Why nobody may go on now. */
  readonly shut: () => Reason | undefined;
  /** When the request ends at the latest, by the monotonic clock. */
  readonly deadlineMs: number;
  /** Calls when the request is stopped: killed, the client gone, out of time; the returned function takes it back. */
  onStop(stop: () => void): () => void;
}

/** How one call ended: what the model reads, and the record but for the tool's name. */
export interface CallEnd {
  readonly output: string;
  readonly record: Omit<ToolRecord, "tool">;
}

/** What one call goes through: kill-switch, arguments, tool rate, tool queue, and the run. */
export type CallChain = (call: ToolCall, run: ToolRun, stop: TurnStop) => Promise<CallEnd>;

export function createCallChain(parts: {
  readonly parse: (call: ToolCall) => ParsedCall;
  readonly admission: AdmissionStore | undefined;
  readonly rate: GateSetting;
  readonly queue: ToolQueue;
  readonly onlySafe: boolean;
  readonly maxResultBytes: number;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly onThrow: (what: string) => void;
}): CallChain {
  const { parse, admission, rate, queue, onlySafe, clock, newId } = parts;

  return async (call, run, stop) => {
    const { subject, deadlineMs } = run;
    /** Asked again after everything that may take time: a kill dominates. */
    const stopped = (): ToolFailure | undefined => {
      const reason = run.shut();
      if (reason !== undefined) return toToolFailure(reason, Reason.KILLED);
      return stop.isStopped ? "STOPPED" : undefined;
    };

    const shut = stopped();
    if (shut !== undefined) return failed(shut);
    // Before anything is taken: what can't run uses up neither rate nor queue.
    const parsed = parse(call);
    if (!parsed.ok) return failed(parsed.code);

    const rated = await askToolRate(admission, rate, run, { ...parts, stop, deadlineMs });
    const refusal = stopped() ?? (rated.go ? undefined : toToolFailure(rated.reason, "TOOL_RATE"));
    if (refusal !== undefined) return failed(refusal);
    const would = rated.go ? rated.would : undefined;
    if (onlySafe && parsed.tool.tool.safe !== true) return failed("NOT_IN_SHADOW", { would });

    const entrance = await queue.enter({
      subject,
      bytes: Buffer.byteLength(call.arguments),
      deadlineMs,
      onStop: (leave) => stop.onStop(leave),
    });
    if (entrance.kind !== "place") {
      const code = entrance.kind === "refused" ? entrance.reason : (stopped() ?? "STOPPED");
      return failed(code, { waitMs: entrance.waitMs, would });
    }

    const startedMs = clock.monotonicMs();
    const late = stopped();
    const end: ToolEnd =
      late === undefined
        ? await runTool(
            parsed.tool,
            parsed.input,
            { subject, run: run.run, idempotencyKey: `${run.requestId}-${newId()}` },
            { ...parts, stop, deadlineMs },
          )
        : { ok: false, code: late };
    const latencyMs = clock.monotonicMs() - startedMs;
    const waited = entrance.leave();
    const figures = { waitMs: waited.waitMs, latencyMs, would: would ?? waited.would };
    if (end.ok) return { output: end.output, record: toRecord(figures) };
    return failed(end.code === "STOPPED" ? (stopped() ?? end.code) : end.code, figures);
  };
}

interface Figures {
  readonly waitMs?: number;
  readonly latencyMs?: number;
  readonly would?: Reason | undefined;
}

/** A call that gave nothing but a code. */
export function failed(code: ToolFailure, figures: Figures = {}): CallEnd {
  return { output: toErrorOutput(code), record: { code, ...toRecord(figures) } };
}

function toRecord({ waitMs = 0, latencyMs = 0, would }: Figures): Omit<ToolRecord, "tool"> {
  return { waitMs, latencyMs, ...(would === undefined ? {} : { would }) };
}

/** A store or a flag source may name any reason; records know those that stop a tool. */
function toToolFailure(reason: Reason, otherwise: ToolFailure): ToolFailure {
  return toolFailures.find((failure) => failure === reason) ?? otherwise;
}
