import { ConfigError } from "@sluice/contract";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { defineTool, type Tool } from "./define-tools.ts";
import { prepareTools } from "./prepare-tools.ts";

const where = "createGuard.tools";

const search = defineTool({
  description: "Searches the catalogue.",
  input: z.object({ words: z.string(), limit: z.number().nullable() }),
  run: ({ words, limit }) => `${words.toUpperCase()} ${limit ?? 10}`,
});

describe("the tools of a guard", () => {
  it("are told to a model in OpenAI's strict mode", () => {
    const { spec, timeoutMs } = prepareTools(where, { search }).get("search") ?? {};
    expect(spec).toMatchObject({
      name: "search",
      description: "Searches the catalogue.",
      parameters: {
        type: "object",
        additionalProperties: false,
        required: ["words", "limit"],
      },
    });
    expect(timeoutMs).toBe(10_000);
  });

  it.each([
    [5, `${where}: got 5, expected a value of type record`],
    [
      { "search it": search },
      `${where}: got a tool named "search it", expected 1 to 64 letters, digits, _ or -`,
    ],
    [{ "": search }, `${where}: got a tool named "", expected 1 to 64 letters, digits, _ or -`],
    [
      Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`tool${i}`, search])),
      `${where}: got 65 tools, expected at most 64`,
    ],
    [{ search: null }, `${where}.search: got null, expected a value of type object`],
    [
      { search: { ...search, description: "" } },
      `${where}.search.description: got "", expected at least 1`,
    ],
    [
      { search: { ...search, input: {} } },
      `${where}.search.input: got an object, expected a z.object`,
    ],
    [{ search: { ...search, run: "run" } }, `${where}.search.run: got "run", expected a function`],
    [
      { search: { ...search, timeoutMs: 0 } },
      `${where}.search.timeoutMs: got 0, expected at least 1`,
    ],
    [
      { search: { ...search, timeoutMs: 600_001 } },
      `${where}.search.timeoutMs: got 600001, expected at most 600000`,
    ],
    [
      { search: { ...search, retries: 3 } },
      `${where}.search.retries: got an unknown option, expected only documented options`,
    ],
    [
      { search: { ...search, input: z.object({ pages: z.array(z.string().optional()) }) } },
      `${where}.search.input.pages[]: got a zod optional, expected .nullable() instead of .optional(): strict mode requires every property`,
    ],
  ])("are refused in one line: %#", (tools, message) => {
    const prepare = () => prepareTools(where, tools as Record<string, Tool>);
    expect(prepare).toThrow(ConfigError);
    expect(prepare).toThrow(message);
  });

  it("may be 64, and none", () => {
    const many = Array.from({ length: 64 }, (_, i) => [`tool-${i}`, search] as const);
    expect(prepareTools(where, Object.fromEntries(many)).size).toBe(64);
    expect(prepareTools(where, {}).size).toBe(0);
  });

  it("know the arguments of their run by the schema", () => {
    defineTool({
      description: "Counts.",
      input: z.object({ of: z.array(z.number()) }),
      run({ of }) {
        // @ts-expect-error -- they are numbers
        const texts: string[] = of;
        return texts;
      },
    });
    const tools: Readonly<Record<string, Tool>> = { search };
    expect(Object.keys(tools)).toEqual(["search"]);
  });
});
