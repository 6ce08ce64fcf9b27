import { expect, test } from "vitest";
import { BatchAccount } from "./batch-account.ts";
import { summaryJson, summaryText, type RunResult } from "./summary.ts";
import { Tally } from "./tally.ts";

function resultOf(): RunResult {
  const tally = new Tally();
  const slots = [{ title: "Recall", minutes: 10 }];
  tally.addFinished({ id: "a", path: "ai", value: { status: "OK", slots } });
  tally.finishedEarlier = 1;
  tally.addFinished({
    id: "b",
    path: "stub",
    reason: "NOT_OPTED_IN",
    value: { status: "STUB", slots },
  });
  tally.addFinished({
    id: "c",
    path: "failed",
    code: "REFUSED",
    value: { status: "FAILED", code: "REFUSED", slots: [] },
  });
  tally.addUnfinished("BUDGET_CALLS");
  tally.malformed = 1;
  const account = new BatchAccount();
  const call = { inputTokens: 700, outputTokens: 800, costNanoUsd: 2_000_000 };
  for (const number of [1, 2]) {
    const idempotencyKey = `key ${number}`;
    account.apply({ type: "dispatched", call: number, job: "a", idempotencyKey, ...call });
  }
  account.apply({
    type: "settled",
    call: 1,
    inputTokens: 90,
    outputTokens: 10,
    costNanoUsd: 100_000,
  });
  const caps = { calls: 2, tokens: 100_000, costNanoUsd: 1_000_000_000 };
  return { tally, account, caps, priced: true, elapsedMs: 1234, reachedEnd: true, exitCode: 3 };
}

test("people read what became of the batch, what it cost, and what to do", () => {
  expect(summaryText(resultOf()).split("\n")).toStrictEqual([
    "3 jobs finished, 1 of them earlier, 1 unfinished, 1 line malformed; 1.2 s",
    "",
    "path    jobs",
    "ai         1",
    "stub       1",
    "failed     1",
    "",
    "why a stub    jobs",
    "NOT_OPTED_IN     1",
    "",
    "failure  jobs",
    "REFUSED     1",
    "",
    "why unfinished  jobs",
    "BUDGET_CALLS       1",
    "",
    "budget     used      cap",
    "calls         2        2",
    "tokens    1,600  100,000",
    "cost    $0.0021    $1.00",
    "",
    "2 slots made; 90 input and 10 output tokens as the provider counted them",
    "1 call without a count charged with all that was set aside",
    "BUDGET_CALLS: --max-calls is used up; a higher one lets the same command go on",
    "exit 3: some jobs are unfinished: no budget was left, or the provider could not be called",
  ]);
});

test("programs read the same as JSON, and no cost where no price is known", () => {
  expect(JSON.parse(summaryJson(resultOf()))).toStrictEqual({
    finished: 3,
    finishedEarlier: 1,
    unfinished: 1,
    reachedEnd: true,
    malformedLines: 1,
    duplicateIds: 0,
    slotsMade: 2,
    byPath: { ai: 1, stub: 1, failed: 1 },
    byReason: { NOT_OPTED_IN: 1 },
    byFailure: { REFUSED: 1 },
    unfinishedByReason: { BUDGET_CALLS: 1 },
    budget: { calls: 2, tokens: 1600, costNanoUsd: 2_100_000 },
    caps: { calls: 2, tokens: 100_000, costNanoUsd: 1_000_000_000 },
    inputTokens: 90,
    outputTokens: 10,
    unsettledCalls: 1,
    elapsedMs: 1234,
    exitCode: 3,
  });
  const unpriced = JSON.parse(summaryJson({ ...resultOf(), priced: false })) as RunResult;
  expect(unpriced).toMatchObject({ budget: { calls: 2, tokens: 1600 } });
  expect(summaryText({ ...resultOf(), priced: false })).toMatch(/^cost +unknown +\$1\.00$/m);
});
