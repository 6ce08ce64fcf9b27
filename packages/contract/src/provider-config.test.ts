import { describe, expect, it } from "vitest";
import { ConfigError, parseOptions } from "./config-error.ts";
import { maxAttemptMs, providerConfigSchema } from "./provider-config.ts";

/** Rows come from JavaScript and from SQL, where no type holds. */
function refusalOf(row: unknown): string {
  try {
    parseOptions("route.0", providerConfigSchema, row);
  } catch (error) {
    if (ConfigError.isInstance(error)) return error.message;
    throw error;
  }
  throw new Error("not refused");
}

const minimal = { provider: "openai" };

describe("a candidate's configuration", () => {
  it("needs no more than its provider", () => {
    expect(providerConfigSchema.parse(minimal)).toEqual({
      provider: "openai",
      environment: "prod",
      enabled: true,
      isDefault: false,
      weight: 1,
      metadata: {},
    });
  });

  it("keeps all that it says", () => {
    const row = {
      provider: "azure eu/west (2)",
      environment: "staging",
      enabled: false,
      isDefault: true,
      weight: 0,
      timeoutMs: maxAttemptMs,
      maxRetries: 0,
      model: "gpt-x:2026-11",
      promptTemplateVersion: "v7 – kürzer",
      metadata: { region: "west", limits: [1, null, { tpm: 2.5 }], shadow: true },
    };
    expect(providerConfigSchema.parse(row)).toEqual(row);
  });

  it.each([
    ["nothing", undefined, "route.0: got nothing, expected a value of type object"],
    ["a name alone", "openai", 'route.0: got "openai", expected a value of type object'],
    ["no provider", {}, "route.0.provider: got nothing, expected a value of type string"],
    [
      "an empty provider",
      { provider: "" },
      'route.0.provider: got "", expected 1 to 128 characters on one line',
    ],
    [
      "a provider of two lines",
      { provider: "a\nb" },
      'route.0.provider: got "a\\nb", expected 1 to 128 characters on one line',
    ],
    [
      "a model longer than a name",
      { ...minimal, model: "x".repeat(129) },
      `route.0.model: got "${"x".repeat(60)}…", expected 1 to 128 characters on one line`,
    ],
    [
      "a prompt's version that turns the line around",
      { ...minimal, promptTemplateVersion: "v\u202e1" },
      'route.0.promptTemplateVersion: got "v\ufffd1", expected 1 to 128 characters on one line',
    ],
    [
      "an environment that is no text",
      { ...minimal, environment: 1 },
      "route.0.environment: got 1, expected a value of type string",
    ],
    [
      "a word for a flag",
      { ...minimal, enabled: "true" },
      'route.0.enabled: got "true", expected a value of type boolean',
    ],
    [
      "a negative weight",
      { ...minimal, weight: -1 },
      "route.0.weight: got -1, expected at least 0",
    ],
    [
      "half a weight",
      { ...minimal, weight: 0.5 },
      "route.0.weight: got 0.5, expected a value of type int",
    ],
    [
      "a weight out of all measure",
      { ...minimal, weight: 1_000_001 },
      "route.0.weight: got 1000001, expected at most 1000000",
    ],
    [
      "a time limit of 0",
      { ...minimal, timeoutMs: 0 },
      "route.0.timeoutMs: got 0, expected at least 1",
    ],
    [
      "a time limit above ten minutes",
      { ...minimal, timeoutMs: maxAttemptMs + 1 },
      "route.0.timeoutMs: got 600001, expected at most 600000",
    ],
    [
      "a time limit without end",
      { ...minimal, timeoutMs: Number.POSITIVE_INFINITY },
      "route.0.timeoutMs: got Infinity, expected a value of type number",
    ],
    [
      "more retries than are sane",
      { ...minimal, maxRetries: 11 },
      "route.0.maxRetries: got 11, expected at most 10",
    ],
    [
      "the name of a column",
      { ...minimal, is_default: true },
      "route.0.is_default: got an unknown option, expected only documented options",
    ],
    [
      "metadata that is a list",
      { ...minimal, metadata: [] },
      "route.0.metadata: got an array of 0, expected a value of type record",
    ],
  ])("is refused in one line with %s", (_, row, line) => {
    expect(refusalOf(row)).toBe(line);
  });

  it("is refused with metadata that is no JSON, by its path and without a secret in it", () => {
    const path = /^route\.0\.metadata\.since: got /;
    expect(refusalOf({ ...minimal, metadata: { since: new Date(0) } })).toMatch(path);
    expect(refusalOf({ ...minimal, metadata: { since: 1n } })).toMatch(path);
    expect(refusalOf({ ...minimal, metadata: { apiKey: Symbol("sentinel") } })).not.toContain(
      "sentinel",
    );
  });
});
