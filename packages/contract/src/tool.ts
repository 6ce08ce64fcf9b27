import type { AskableSchema } from "./askable-schema.ts";
import { Reason } from "./reason.ts";

/** A tool as a model is told of it. */
export interface ToolSpec {
  readonly name: string;
  readonly description: string;
  /** JSON Schema (OpenAI's strict subset) of the arguments. */
  readonly parameters: AskableSchema;
}

/** What a model asked for: which tool, with which arguments, before anything was checked. */
export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON text as the model wrote it. */
  readonly arguments: string;
}

/** What a tool gave, for the model to read. */
export interface ToolResult {
  /** The call's id. */
  readonly id: string;
  readonly output: string;
}

/** One turn of a request that called tools: the model's words, its calls, and what they gave. */
export interface ToolStep {
  readonly text: string;
  readonly calls: readonly ToolCall[];
  readonly results: readonly ToolResult[];
}

/** Why a tool's call gave the model an error instead of a result. */
export const toolFailures = [
  Reason.KILLED,
  Reason.TRIPPED,
  Reason.FLAG_OFF,
  Reason.FLAGS_STALE,
  Reason.NOT_IN_ROLLOUT,
  Reason.TOOL_RATE,
  Reason.TOOL_QUEUE_FULL,
  Reason.TOOL_QUEUE_TIMEOUT,
  Reason.STORE_UNAVAILABLE,
  "UNKNOWN_TOOL",
  "ARGUMENTS_INVALID",
  "TOOL_TIMEOUT",
  "TOOL_THREW",
  "RESULT_TOO_LARGE",
  /** The model asked for more calls in one turn than a turn may have. */
  "TOO_MANY_CALLS",
  /** A shadow runs only tools that are marked as safe. */
  "NOT_IN_SHADOW",
  /** The request ended while it waited or ran. */
  "STOPPED",
] as const;
export type ToolFailure = (typeof toolFailures)[number];
