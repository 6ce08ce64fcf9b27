import type { ToolCall } from "@sluice/contract";
import type { z } from "zod";
import type { PreparedTool } from "./prepare-tools.ts";

const maxArgumentBytes = 64 * 1024;

export type ParsedCall =
  | {
      readonly ok: true;
      readonly tool: PreparedTool;
      readonly input: Record<string, unknown>;
    }
  | { readonly ok: false; readonly code: "UNKNOWN_TOOL" | "ARGUMENTS_INVALID" };

/** What the model asked for. Names and arguments are untrusted, like anything it writes. */
export function parseCall(tools: ReadonlyMap<string, PreparedTool>, call: ToolCall): ParsedCall {
  const tool = tools.get(call.name);
  if (tool === undefined) return { ok: false, code: "UNKNOWN_TOOL" };
  const input = parseArguments(tool.tool.input, call.arguments);
  return input === undefined ? { ok: false, code: "ARGUMENTS_INVALID" } : { ok: true, tool, input };
}

function parseArguments(schema: z.ZodObject, text: string): Record<string, unknown> | undefined {
  if (Buffer.byteLength(text) > maxArgumentBytes) return undefined;
  try {
    // Some models write nothing where a tool takes no arguments.
    const json: unknown = text.trim() === "" ? {} : JSON.parse(text, refusePrototype);
    return schema.safeParse(json).data;
  } catch {
    // No JSON, a check of the schema that threw, or values nested deeper than the stack.
    return undefined;
  }
}

/** Harmless as JSON, until a tool merges it into something. */
function refusePrototype(key: string, value: unknown): unknown {
  if (key === "__proto__") throw new SyntaxError("a key that no tool has");
  return value;
}
