import { ConfigError, describeValue, parseOptions } from "@sluice/contract";
import { readFile } from "node:fs/promises";
import type { z } from "zod";
import { errorCode } from "./error-code.ts";

const maxBytes = 16 * 1024 * 1024;

/**
 * Reads a small file that an option names.
 * @throws ConfigError
 */
export async function readJsonFile<S extends z.ZodType>(
  option: string,
  path: string,
  schema: S,
): Promise<z.output<S>> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new ConfigError({
      option,
      got: `${describeValue(path)}, which can't be read (${errorCode(error)})`,
      expected: "a JSON file",
    });
  }
  let value: unknown;
  try {
    if (text.length > maxBytes) throw new RangeError("too long");
    value = JSON.parse(text.replace(/^\u{feff}/u, ""));
  } catch {
    throw new ConfigError({
      option,
      got: `${describeValue(path)}, which is not JSON`,
      expected: "a JSON file",
    });
  }
  return parseOptions(option, schema, value);
}
