import {
  ConfigError,
  FailureCode,
  failureCodes,
  type ProviderAsk,
  type ProviderCall,
  type Usage,
} from "@sluice/contract";
import * as fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { functionProvider, type FunctionContext } from "./function-provider.ts";
import { ProviderError } from "./provider-error.ts";

const call = (more: Partial<ProviderCall<string>> = {}): ProviderCall<string> => ({
  input: "job",
  schema: { type: "object" },
  tools: [],
  steps: [],
  maxOutputTokens: 40,
  reserved: undefined,
  signal: new AbortController().signal,
  idempotencyKey: "key-1",
  measure: () => undefined,
  ...more,
});

const generate = (fn: (input: string, context: FunctionContext) => unknown) =>
  functionProvider(fn).generate(call());
const throwing = (thrown: unknown) =>
  generate(() => {
    throw thrown;
  });

describe("what a guarded function returns", () => {
  it.each<[value: unknown]>([[{ status: "OK" }], [[1]], [7], [true], [null], [undefined]])(
    "%j is its value",
    async (value) => {
      expect(await generate(() => value)).toEqual({ ok: true, output: { kind: "value", value } });
    },
  );

  it("is the value of a promise too", async () => {
    expect(await generate(async () => ({ a: 1 }))).toMatchObject({
      output: { kind: "value", value: { a: 1 } },
    });
  });

  it.each(["", "{}", "prose"])("%j is text, for the guard to parse", async (text) => {
    expect(await generate(() => text)).toEqual({ ok: true, output: { kind: "text", text } });
  });
});

describe("what a guarded function throws", () => {
  it.each([
    [new Error("secret")],
    ["secret"],
    [undefined],
    [null],
    [{}],
    [{ status: "500" }],
    [{ status: Symbol("500") }],
    [{ status: 200 }],
    [{ status: 0 }],
    [{ status: Number.NaN }],
  ])("%j is the provider out of reach, without its text", async (thrown) => {
    const reply = await throwing(thrown);
    expect(reply).toEqual({ ok: false, code: "PROVIDER_UNAVAILABLE", dispatched: true });
    expect(JSON.stringify(reply)).not.toContain("secret");
  });

  it("is the same from a promise", async () => {
    expect(await generate(() => Promise.reject(new Error("secret")))).toMatchObject({
      code: "PROVIDER_UNAVAILABLE",
    });
  });

  it.each([
    [401, "PROVIDER_AUTH"],
    [403, "PROVIDER_AUTH"],
    [400, "PROVIDER_BAD_REQUEST"],
    [404, "PROVIDER_BAD_REQUEST"],
    [408, "PROVIDER_TIMEOUT"],
    [429, "PROVIDER_RATE_LIMITED"],
    [500, "PROVIDER_UNAVAILABLE"],
    [503, "PROVIDER_UNAVAILABLE"],
    [504, "PROVIDER_TIMEOUT"],
  ])("with the status %i is %s", async (status, code) => {
    expect(await throwing(Object.assign(new Error("x"), { status }))).toMatchObject({ code });
  });

  it.each(failureCodes)("a ProviderError of %s is that failure", async (code) => {
    expect(await throwing(new ProviderError(code))).toMatchObject({ code });
  });

  it("a ProviderError of no known failure is the provider out of reach", async () => {
    expect(await throwing(new ProviderError("LATER_CODE" as FailureCode))).toMatchObject({
      code: "PROVIDER_UNAVAILABLE",
    });
  });

  it("a ProviderError of another copy of the package counts", async () => {
    const other = Object.assign(new Error("x"), {
      code: "SLUICE_PROVIDER",
      failure: FailureCode.REFUSED,
    });
    expect(ProviderError.isInstance(other)).toBe(true);
    expect(await throwing(other)).toMatchObject({ code: "REFUSED" });
  });
});

describe("what a guarded function is given", () => {
  it("is its input and the call", async () => {
    const asked = call({ model: "route-model", promptTemplateVersion: "v2" });
    const fn = vi.fn<(input: string, context: FunctionContext) => object>(() => ({}));
    await functionProvider(fn).generate(asked);
    expect(fn).toHaveBeenCalledExactlyOnceWith(
      "job",
      expect.objectContaining({
        signal: asked.signal,
        maxOutputTokens: 40,
        schema: asked.schema,
        tools: asked.tools,
        steps: asked.steps,
        model: "route-model",
        promptTemplateVersion: "v2",
        idempotencyKey: "key-1",
      }),
    );
  });

  it("takes measures on to the guard", async () => {
    const measure = vi.fn<ProviderCall<string>["measure"]>();
    const measures = z.strictObject({ slots: z.int() });
    const reporting = functionProvider(
      (_: string, context) => {
        context.measure({ slots: 3 });
        return {};
      },
      { measures },
    );
    await reporting.generate(call({ measure }));
    expect(measure).toHaveBeenCalledExactlyOnceWith({ slots: 3 });
  });

  it.each([
    ["a value", () => ({}), true],
    [
      "a throw",
      () => {
        throw new Error("x");
      },
      false,
    ],
  ])("takes usage on with %s", async (_, then, ok) => {
    const reply = await generate((_input, context) => {
      context.usage({ inputTokens: 3, outputTokens: 4 });
      return then();
    });
    expect(reply).toMatchObject({ ok, usage: { inputTokens: 3, outputTokens: 4 } });
  });

  it.each([
    [-1, 2],
    [1, Number.NaN],
    [0.5, 2],
    [1, Number.POSITIVE_INFINITY],
    ["1", "2"],
  ])("takes no usage of %j and %j, so that the reservation stays", async (input, output) => {
    const usage = { inputTokens: input, outputTokens: output } as Usage;
    const reply = await generate((_input, context) => {
      context.usage(usage);
      return {};
    });
    expect(reply).toMatchObject({ ok: true, usage: undefined });
  });

  it("takes no usage where there is none to report", async () => {
    const reply = await generate((_input, context) => {
      context.usage(undefined as unknown as Usage);
      return {};
    });
    expect(reply).toMatchObject({ ok: true, usage: undefined });
  });

  it("counts the last usage of several", async () => {
    const reply = await generate((_input, context) => {
      context.usage({ inputTokens: 1, outputTokens: 1 });
      context.usage({ inputTokens: 9, outputTokens: 9 });
      return {};
    });
    expect(reply.usage).toEqual({ inputTokens: 9, outputTokens: 9 });
  });
});

const ask = <In>(input: In, more: Partial<ProviderAsk<In>> = {}): ProviderAsk<In> => ({
  input,
  schema: {},
  tools: [],
  steps: [],
  ...more,
});
const bound = (input: unknown) => functionProvider<unknown>(() => ({})).inputTokens?.(ask(input));

describe("the prompt's bound", () => {
  it("covers the bytes of a string, or of the input's JSON", () => {
    expect(bound("ñ")).toBe(2);
    expect(bound({ a: "ñ" })).toBe(Buffer.byteLength('{"a":"ñ"}'));
    expect(bound(undefined)).toBe(0);
  });

  it("never falls short of a text's bytes", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.nat(0xffff).map((unit) => String.fromCharCode(unit)) }),
        (text) => (bound(text) ?? 0) >= Buffer.byteLength(text),
      ),
    );
  });

  it("covers tools and what they gave", () => {
    const own = functionProvider<string>(() => ({}));
    const tools = [{ name: "a", description: "ñ".repeat(100), parameters: {} }];
    const steps = [{ text: "", calls: [], results: [{ id: "1", output: "ñ".repeat(100) }] }];
    expect(own.inputTokens?.(ask("", { tools }))).toBeGreaterThan(200);
    expect(own.inputTokens?.(ask("", { steps }))).toBeGreaterThan(200);
  });

  it("is the application's own where it gives one", () => {
    const own = functionProvider<string>(() => ({}), { inputTokens: (text) => text.length * 10 });
    expect(own.inputTokens?.(ask("four"))).toBe(40);
  });

  it("of a hundred thousand letters takes no time", { timeout: 1000 }, () => {
    expect(bound("a".repeat(100_000))).toBe(100_000);
  });
});

describe("a wrong configuration", () => {
  it.each([
    [() => functionProvider("fn" as never), 'functionProvider: got "fn", expected a function'],
    [() => functionProvider(() => 1, { name: "" }), "functionProvider.name: got "],
    [() => functionProvider(() => 1, { model: "" }), "functionProvider.model: got "],
    [
      () => functionProvider(() => 1, { inputTokens: 3 as never }),
      "functionProvider.inputTokens: ",
    ],
    [
      () => functionProvider(() => 1, { retries: 3 } as never),
      "functionProvider.retries: got an unknown option",
    ],
  ])("is refused in one line", (make, line) => {
    expect(make).toThrow(ConfigError);
    expect(make).toThrow(line);
  });

  it("does not arise from defaults", () => {
    const made = functionProvider(() => 1);
    expect(made).toMatchObject({ name: "function", model: undefined });
    expect(made.notReady?.()).toBeUndefined();
  });
});
