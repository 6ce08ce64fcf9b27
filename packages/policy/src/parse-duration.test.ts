import { describe, expect, it } from "vitest";
import { parseDurationMs } from "./parse-duration.ts";

describe("a duration", () => {
  it.each<[text: string, ms: number | undefined]>([
    ["6ms", 6],
    ["120ms", 120],
    ["8 ms", 8],
    ["1s", 1000],
    ["1.574s", 1574],
    ["20s.", 20_000],
    ["20 seconds. Please", 20_000],
    ["1 second", 1000],
    ["6m0s", 360_000],
    ["1m30.5s", 90_500],
    ["2h3m4s", 7_384_000],
    ["1h", 3_600_000],
    ["3 hours", 10_800_000],
    ["2 minutes", 120_000],
    ["1d", 86_400_000],
    ["0s", 0],
    ["5", undefined],
    ["", undefined],
    ["soon", undefined],
    ["-1", undefined],
    ["-1s", undefined],
    ["5 apples", undefined],
  ])("%j is %s ms", (text, ms) => {
    expect(parseDurationMs(text)).toBe(ms);
  });
});
