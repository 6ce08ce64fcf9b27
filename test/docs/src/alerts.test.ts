import { alertCodes } from "@sluice/contract";
import { describe, expect, it } from "vitest";
import { differences } from "./differences.ts";
import { plant } from "./plant.ts";
import { codesOf, readPage, tableUnder } from "./read-page.ts";
import { readText } from "./repository.ts";

const text = readText("docs/runbooks/on-call.md");

function check(page: string): string[] {
  const table = tableUnder(readPage(page), "Runbook: on call");
  return differences(codesOf(table, "alert"), alertCodes);
}

describe("the runbook for who is on call", () => {
  it("tells what to do on each alert that there is", () => {
    expect(check(text)).toEqual([]);
  });

  it("is held to it: a missing alert and an invented one are faults", () => {
    expect(check(plant(text, "| `STUB_FAILED` |", "| `STUB_BROKEN` |"))).toEqual([
      "STUB_FAILED is not documented",
      "STUB_BROKEN is documented and does not exist",
    ]);
  });
});
