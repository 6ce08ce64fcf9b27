import { describe, expect, it } from "vitest";
import { checkArchitecture } from "./check-architecture.ts";
import { plant } from "./plant.ts";
import { readPage } from "./read-page.ts";
import { readText } from "./repository.ts";

const text = readText("docs/architecture.md");

describe("the map of the architecture", () => {
  it("names files and packages that are there, and what they import", () => {
    expect(checkArchitecture(readPage(text))).toEqual([]);
  });

  it.each([
    ["a file", ["judge.ts", "juror.ts"], "juror.ts is not there"],
    ["a missing package", ["| `policy` |", "| |"], "policy is not documented"],
    [
      "an invented package",
      ["| `policy` |", "| `politics` |"],
      "politics is documented and does not exist",
    ],
    [
      "an import",
      ["Express | contract, guard, gateway |", "Express | contract, guard |"],
      "express imports gateway",
    ],
  ] as const)("is held to it: %s", (_, [good, bad], fault) => {
    expect(checkArchitecture(readPage(plant(text, good, bad)))).toContain(fault);
  });
});
