import type { z } from "zod";

/** What a tool knows of the request that it runs for. */
export interface ToolContext {
  /** Aborted when its time is up or the request is stopped: killed, the client gone, out of time. */
  readonly signal: AbortSignal;
  readonly subject: string;
  readonly run: string | undefined;
  /** Unique to this call, begins with the request's id; for upstreams that take one. */
  readonly idempotencyKey: string;
}

/** Something that the model may ask for. */
export interface Tool<Args extends z.ZodObject = z.ZodObject> {
  /** For the model. */
  readonly description: string;
  /** Its arguments; within OpenAI's strict mode, so every property is required. */
  readonly input: Args;
  /**
   * What it returns, or resolves with, is sent to the model as JSON. The model is told that it threw, and
   * nothing of what it threw.
   */
  // A method, not a property: a record of tools holds them whatever their arguments.
  run(args: z.output<Args>, context: ToolContext): unknown;
  /** Milliseconds that one call may take. Default 10,000. */
  readonly timeoutMs?: number;
  /** It changes nothing anywhere, so a shadow may run it too. Default false. */
  readonly safe?: boolean;
}

/** Types the arguments of `run` by the schema. */
export function defineTool<Args extends z.ZodObject>(tool: Tool<Args>): Tool<Args> {
  return tool;
}
