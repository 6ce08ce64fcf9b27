import {
  ConfigError,
  describeValue,
  functionSchema,
  parseOptions,
  toAskableSchema,
  type ToolSpec,
} from "@sluice/contract";
import { z } from "zod";
import type { Tool } from "./define-tools.ts";

const maxTools = 64;
/** What OpenAI takes for a function's name. */
const toolName = /^[a-zA-Z0-9_-]{1,64}$/;

const toolSchema = z.strictObject({
  description: z.string().min(1).max(1024),
  input: z.custom<z.ZodObject>((value) => value instanceof z.ZodObject, { error: "a z.object" }),
  run: functionSchema,
  timeoutMs: z.int().min(1).max(600_000).default(10_000),
  safe: z.boolean().default(false),
});

/** A tool whose options were checked. */
export interface PreparedTool {
  readonly spec: ToolSpec;
  readonly tool: Tool;
  readonly timeoutMs: number;
}

/**
 * Checks tools, and derives what a model is told of each.
 * @throws ConfigError: one line naming the tool and its option
 */
export function prepareTools(
  where: string,
  tools: Readonly<Record<string, Tool>>,
): ReadonlyMap<string, PreparedTool> {
  const entries = Object.entries(parseOptions(where, z.record(z.string(), z.unknown()), tools));
  if (entries.length > maxTools) {
    throw new ConfigError({
      option: where,
      got: `${entries.length} tools`,
      expected: `at most ${maxTools}`,
    });
  }
  return new Map(
    entries.map(([name, given]) => {
      if (!toolName.test(name)) {
        throw new ConfigError({
          option: where,
          got: `a tool named ${describeValue(name)}`,
          expected: "1 to 64 letters, digits, _ or -",
        });
      }
      const option = `${where}.${name}`;
      const { description, input, timeoutMs } = parseOptions(option, toolSchema, given);
      const parameters = toAskableSchema(`${option}.input`, input);
      const spec: ToolSpec = { name, description, parameters };
      return [name, { spec, tool: given as Tool, timeoutMs }];
    }),
  );
}
