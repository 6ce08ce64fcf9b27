import { describe, expect, it } from "vitest";
import { checkFailureCodes } from "./check-failure-codes.ts";
import { plant } from "./plant.ts";
import { readPage } from "./read-page.ts";
import { readText } from "./repository.ts";

const text = readText("docs/reference/failure-codes.md");

describe("the page of failure codes", () => {
  it("lists the codes that there are, what a breaker learns and the status", () => {
    expect(checkFailureCodes(readPage(text))).toEqual([]);
  });

  it.each([
    ["a missing code", ["`REFUSED`", "REFUSED"], "REFUSED is not documented"],
    ["an invented code", ["`REFUSED`", "`DENIED`"], "DENIED is documented and does not exist"],
    [
      "a wrong lesson",
      ["| success | 502 |", "| nothing | 502 |"],
      "REFUSED: a breaker learns success",
    ],
    [
      "a wrong status",
      ["| failure | 504 |", "| failure | 502 |"],
      "PROVIDER_TIMEOUT: the status is 504",
    ],
  ] as const)("is held to it: %s is a fault", (_, [good, bad], fault) => {
    expect(checkFailureCodes(readPage(plant(text, good, bad)))).toContain(fault);
  });
});
