import { providerConfigSchema } from "@sluice/contract";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { keyOf, parseProviderRows } from "./parse-provider-rows.ts";

/** As `to_jsonb` gives a row of our own table. */
const row = (provider: string, more: Record<string, unknown> = {}): Record<string, unknown> => ({
  provider,
  environment: "prod",
  enabled: true,
  is_default: false,
  weight: 1,
  timeout_ms: null,
  max_retries: null,
  model: null,
  prompt_template_version: null,
  metadata: {},
  position: 0,
  version: 1,
  updated_at: "2026-01-01T00:00:00+00:00",
  ...more,
});

const namesOf = (rows: readonly unknown[], options = {}): readonly string[] | undefined =>
  parseProviderRows(rows, options).configs?.map(({ provider }) => provider);

describe("the rows of the table of providers", () => {
  it("are candidates with the names of the contract; null is the same as unset", () => {
    const { configs, problem } = parseProviderRows([
      row("openai", { is_default: true, timeout_ms: 9000, model: "m", metadata: { a: [1] } }),
    ]);
    expect(problem).toBeUndefined();
    expect(configs).toEqual([
      {
        provider: "openai",
        environment: "prod",
        enabled: true,
        isDefault: true,
        weight: 1,
        timeoutMs: 9000,
        model: "m",
        metadata: { a: [1] },
      },
    ]);
  });

  it("may lack every column but the provider, and have columns of their own", () => {
    expect(parseProviderRows([{ provider: "openai", id: 7, owner: "us" }]).configs).toEqual([
      providerConfigSchema.parse({ provider: "openai" }),
    ]);
  });

  it("stand by position, then by name; one without a position stands last", () => {
    const rows = [
      row("d", { position: null }),
      row("c", { position: 1 }),
      row("b", { position: 1 }),
      row("z", { position: -3 }),
    ];
    expect(namesOf(rows)).toEqual(["z", "b", "c", "d"]);
  });

  it("stand in the same order however the database returns them", () => {
    const rows = ["a", "b", "c", "d", "e"].map((name, i) => row(name, { position: i % 2 }));
    fc.assert(
      fc.property(fc.shuffledSubarray(rows, { minLength: rows.length }), (shuffled) => {
        expect(namesOf(shuffled)).toEqual(["a", "c", "e", "b", "d"]);
      }),
    );
  });

  it("are passed over, malformed or not, when they are of another environment or provider", () => {
    const rows = [
      row("openai"),
      row("openai", { environment: "dev", weight: "much" }),
      row("custom", { weight: "much" }),
    ];
    expect(namesOf(rows, { environment: "prod", providers: ["openai"] })).toEqual(["openai"]);
    expect(namesOf(rows)).toBeUndefined();
  });

  it.each<[string, unknown, string]>([
    ["provider", null, "1 to 128 characters on one line"],
    ["provider", "two\nlines", "1 to 128 characters on one line"],
    ["environment", 7, "1 to 128 characters on one line"],
    ["enabled", "true", "true or false"],
    ["enabled", null, "true or false"],
    ["is_default", 1, "true or false"],
    ["weight", "50", "an integer from 0 to 1000000"],
    ["weight", -1, "an integer from 0 to 1000000"],
    ["timeout_ms", 600_001, "an integer from 1 to 600000"],
    ["max_retries", 1.5, "an integer from 0 to 10"],
    ["model", "", "1 to 128 characters on one line"],
    ["prompt_template_version", "x".repeat(129), "1 to 128 characters on one line"],
    ["metadata", [], "a JSON object"],
    ["position", "first", "a number"],
  ])(
    "are malformed with %s %j, and the problem names the column only",
    (column, value, expected) => {
      const { configs, problem } = parseProviderRows([
        row("a"),
        row("openai", { [column]: value }),
      ]);
      expect(configs).toBeUndefined();
      expect(problem).toEqual({ column, expected });
    },
  );

  it.each([[null], ["openai"], [[]]])("are malformed when one is %j", (one) => {
    expect(parseProviderRows([one]).problem?.column).toBe("provider");
  });

  it("say whom they disable, also when they are malformed", () => {
    const { disabled } = parseProviderRows([
      row("openai", { enabled: false, weight: "much" }),
      row("custom", { enabled: "false" }),
    ]);
    expect([...disabled]).toEqual([keyOf({ provider: "openai" })]);
  });
});
