import { describe, expect, it } from "vitest";
import { costNanoUsd, priceSchema, priceTableSchema } from "./price.ts";

describe("a price", () => {
  it("makes the cost of a call in whole nano-dollars", () => {
    const price = { inputNanoUsdPerToken: 150, outputNanoUsdPerToken: 600 };
    expect(costNanoUsd({ inputTokens: 1_000_000, outputTokens: 0 }, price)).toBe(150_000_000);
    expect(costNanoUsd({ inputTokens: 3, outputTokens: 2 }, price)).toBe(1650);
    expect(costNanoUsd({ inputTokens: 0, outputTokens: 0 }, price)).toBe(0);
  });

  it.each([
    { inputNanoUsdPerToken: 0.5, outputNanoUsdPerToken: 1 },
    { inputNanoUsdPerToken: -1, outputNanoUsdPerToken: 1 },
    { inputNanoUsdPerToken: "1", outputNanoUsdPerToken: 1 },
    { inputNanoUsdPerToken: 1 },
    { inputNanoUsdPerToken: 1, outputNanoUsdPerToken: 1, currency: "EUR" },
  ])("is refused as %j", (price) => {
    expect(priceSchema.safeParse(price).success).toBe(false);
  });

  it("stands in a table under its model's name", () => {
    const price = { inputNanoUsdPerToken: 1, outputNanoUsdPerToken: 2 };
    expect(priceTableSchema.parse({ "gpt-x": price })).toEqual({ "gpt-x": price });
    expect(priceTableSchema.safeParse({ "": price }).success).toBe(false);
  });
});
