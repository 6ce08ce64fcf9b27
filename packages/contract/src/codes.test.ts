import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { FailureCode, failureCodes } from "./failure.ts";
import { Reason } from "./reason.ts";

const codes = [
  ["reason", Reason, "./reason.ts"],
  ["failure", FailureCode, "./failure.ts"],
] as const;

describe.each(codes)("each %s code", (_, members, file) => {
  it("is its own name in upper snake case", () => {
    for (const [name, code] of Object.entries(members)) {
      expect(code).toBe(name);
      expect(code).toMatch(/^[A-Z]+(?:_[A-Z]+)*$/);
    }
  });

  it("has a one-line comment that says what it means", () => {
    const source = readFileSync(new URL(file, import.meta.url), "utf8");
    for (const code of Object.keys(members)) {
      expect(source).toMatch(
        new RegExp(`^  /\\*\\* [^\\n]+\\. \\*/\\n  ${code}: "${code}",$`, "m"),
      );
    }
  });
});

it("the failure codes are listed in the order of their definition", () => {
  expect(failureCodes).toEqual(Object.keys(FailureCode));
});
