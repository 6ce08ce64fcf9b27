import { describe, expect, it } from "vitest";
import { checkReasons } from "./check-reasons.ts";
import { plant } from "./plant.ts";
import { readPage } from "./read-page.ts";
import { readText } from "./repository.ts";

const reasons = readText("docs/reference/reasons.md");
const options = readText("docs/reference/guard-options.md");
const check = (page: string, gates = options): string[] =>
  checkReasons(readPage(page), readPage(gates));

describe("the page of reasons", () => {
  it("lists the reasons that there are, with the gates that give them", () => {
    expect(check(reasons)).toEqual([]);
  });

  it.each([
    ["a missing code", plant(reasons, "| `TRIPPED` |", "| |"), "TRIPPED is not documented"],
    [
      "an invented code",
      plant(reasons, "`TRIPPED`", "`TRIP`"),
      "TRIP is documented and does not exist",
    ],
    ["a repeated code", plant(reasons, "`TRIPPED`", "`KILLED`"), "KILLED is documented twice"],
    [
      "a missing word for who was skipped",
      plant(reasons, "| `retry_budget` |", "| |"),
      "retry_budget is not documented",
    ],
    ["an invented gate", plant(reasons, "| opt-in |", "| opt-out |"), "opt-out is no gate"],
    [
      "a wrong gate",
      plant(reasons, "| opt-in |", "| budget |"),
      "budget ▸ NOT_OPTED_IN is documented and does not exist",
    ],
  ])("is held to it: %s is a fault", (_, page, fault) => {
    expect(check(page)).toContain(fault);
  });

  it("is held to the table of gates", () => {
    expect(check(reasons, plant(options, ", `FLAGS_STALE`", ""))).toEqual([
      "feature-flag ▸ FLAGS_STALE is documented and does not exist",
    ]);
  });
});
