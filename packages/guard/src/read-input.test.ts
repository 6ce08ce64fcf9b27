import { expect, it } from "vitest";
import { z } from "zod";
import { readInput } from "./read-input.ts";

const schema = z.object({ prompt: z.string() });

it("a body of the expected form is the input", () => {
  expect(readInput(schema, { prompt: "hello" })).toEqual({ input: { prompt: "hello" } });
});

it("I5 a body of another form is a problem that names the place and holds no value", () => {
  const read = readInput(schema, { prompt: ["sentinel-41"] });
  expect(read).toMatchObject({
    problem: { status: 400, errors: [{ path: "/prompt", rule: "expected string" }] },
  });
  expect(JSON.stringify(read)).not.toContain("sentinel-41");
});

it("a body that is nested deeper than the schema's parse has stack for is a problem", () => {
  interface Nested {
    readonly inner?: Nested | undefined;
  }
  const nested: z.ZodType<Nested> = z.lazy(() => z.object({ inner: nested.optional() }));
  let body: Nested = {};
  for (let depth = 0; depth < 100_000; depth += 1) body = { inner: body };
  expect(readInput(nested, body)).toMatchObject({
    problem: { status: 400, title: "The request body is nested too deeply" },
  });
});

it("what a schema of the application throws is thrown on", () => {
  const throwing = z.unknown().refine(() => {
    throw new TypeError("a defect");
  });
  expect(() => readInput(throwing, {})).toThrow("a defect");
});
