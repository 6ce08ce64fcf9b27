import { expect, test } from "vitest";
import type { UnfinishedReason } from "./conclude.ts";
import { exitCodeOf } from "./exit-code-of.ts";
import { Tally } from "./tally.ts";

const on = { received: undefined, broken: undefined };

function tallyOf(...reasons: UnfinishedReason[]): Tally {
  const tally = new Tally();
  for (const reason of reasons) tally.addUnfinished(reason);
  return tally;
}

test.each<[UnfinishedReason[], number]>([
  [[], 0],
  [["BUDGET_CALLS"], 3],
  [["CIRCUIT_OPEN"], 3],
  [["FLAG_OFF"], 4],
  [["FLAGS_STALE"], 4],
  [["KILLED"], 4],
  [["BUDGET_TOKENS", "TRIPPED"], 4],
  [["NOT_IN_ROLLOUT"], 4],
])("unfinished for %j is exit %d", (reasons, code) => {
  expect(exitCodeOf(on, tallyOf(...reasons))).toBe(code);
});

test("lines that can't be used count only when all else is finished", () => {
  const tally = tallyOf();
  tally.malformed = 1;
  expect(exitCodeOf(on, tally)).toBe(5);
  tally.addUnfinished("BUDGET_COST");
  expect(exitCodeOf(on, tally)).toBe(3);
});

test("a signal goes before what is unfinished, a broken file before both", () => {
  const tally = tallyOf("KILLED");
  expect(exitCodeOf({ ...on, received: "SIGINT" }, tally)).toBe(130);
  expect(exitCodeOf({ ...on, received: "SIGTERM" }, tally)).toBe(143);
  const broken = { error: new Error("disk full") };
  expect(exitCodeOf({ received: "SIGINT", broken }, tally)).toBe(1);
});
