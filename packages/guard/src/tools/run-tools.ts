import type {
  AdmissionStore,
  Clock,
  NewId,
  ToolCall,
  ToolRecord,
  ToolResult,
  ToolSpec,
} from "@sluice/contract";
import type { GateSetting } from "../gates/gate.ts";
import { createCallChain, failed, type ToolRun } from "./call-chain.ts";
import type { Tool } from "./define-tools.ts";
import { parseCall } from "./parse-call.ts";
import { prepareTools } from "./prepare-tools.ts";
import type { ToolQueueSettings } from "./tool-queue-options.ts";
import { createToolQueue, type ToolQueueState } from "./tool-queue.ts";
import { createTurnStop } from "./turn-stop.ts";

export type { ToolRun } from "./call-chain.ts";

/** Calls of one turn that are run. */
export const maxCallsPerTurn = 16;
const defaultMaxResultBytes = 256 * 1024;
/** In records: the name that the model made up is content. */
const unknownTool = "unknown";

/** The tools of one guard. */
export interface Tools {
  readonly specs: readonly ToolSpec[];
  /** Turns of a request that may call tools. */
  readonly maxSteps: number;
  /** What the model asked for, under the tool's schema. */
  parse(
    call: ToolCall,
  ):
    | { readonly ok: true; readonly input: unknown }
    | { readonly ok: false; readonly code: "UNKNOWN_TOOL" | "ARGUMENTS_INVALID" };
  /**
   * Runs the calls of one turn at the same time, each through a chain of its own: kill-switch, tool rate,
   * tool queue. Gives a result and a record for each call, in their order. Never rejects.
   */
  runAll(
    calls: readonly ToolCall[],
    run: ToolRun,
  ): Promise<{ readonly results: readonly ToolResult[]; readonly records: readonly ToolRecord[] }>;
  queueState(): ToolQueueState;
}

export interface ToolsOptions {
  /** What the record of tools is called, for errors. */
  readonly where: string;
  readonly tools: Readonly<Record<string, Tool>>;
  readonly queue: ToolQueueSettings;
  readonly maxSteps: number;
  /** Its rate of tool calls counts, where it has one. */
  readonly admission: AdmissionStore | undefined;
  /** How the rate is obeyed; default `enforce` and `closed`. */
  readonly rate?: GateSetting;
  /** Only tools that are marked as safe are run. Default false. */
  readonly onlySafe?: boolean;
  /** Asked whenever something happens in the queue, so that a switch takes effect at once. */
  readonly enforceQueue: () => boolean;
  /** Bytes of JSON that a result may have. Default 256 KiB. */
  readonly maxResultBytes?: number;
  readonly clock: Clock;
  readonly newId: NewId;
  /** Something of the application's threw; called with what it was. */
  readonly onThrow: (what: string) => void;
}

/** @throws ConfigError */
export function createTools(options: ToolsOptions): Tools {
  const { maxSteps, admission, clock, newId, onThrow } = options;
  const tools = prepareTools(options.where, options.tools);
  const queue = createToolQueue({ ...options.queue, clock, enforce: options.enforceQueue });
  const chain = createCallChain({
    parse: (call) => parseCall(tools, call),
    admission,
    rate: options.rate ?? { mode: "enforce", onIndeterminate: "closed" },
    queue,
    onlySafe: options.onlySafe === true,
    maxResultBytes: options.maxResultBytes ?? defaultMaxResultBytes,
    clock,
    newId,
    onThrow,
  });

  return {
    specs: [...tools.values()].map(({ spec }) => spec),
    maxSteps,
    parse(call) {
      const parsed = parseCall(tools, call);
      return parsed.ok ? { ok: true, input: parsed.input } : parsed;
    },
    async runAll(calls, run) {
      const stop = createTurnStop((callback) => run.onStop(callback));
      try {
        const ended = await Promise.all(
          calls.map(async (call, place) => ({
            call,
            end: place < maxCallsPerTurn ? await chain(call, run, stop) : failed("TOO_MANY_CALLS"),
          })),
        );
        return {
          results: ended.map(({ call, end }) => ({ id: call.id, output: end.output })),
          records: ended.map(({ call, end }) => {
            const tool = tools.has(call.name) ? call.name : unknownTool;
            return { tool, ...end.record };
          }),
        };
      } finally {
        stop.end();
      }
    },
    queueState: () => queue.state(),
  };
}
