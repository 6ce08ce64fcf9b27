import * as fc from "fast-check";
import { expect, test } from "vitest";
import { BatchAccount } from "./batch-account.ts";
import type { JournalRecord } from "./journal-record.ts";

const dispatched = (call: number, job = `job ${call}`): JournalRecord => ({
  type: "dispatched",
  call,
  job,
  idempotencyKey: `key ${call}`,
  inputTokens: 100,
  outputTokens: 50,
  costNanoUsd: 1000,
});

const settled = (call: number): JournalRecord => ({
  type: "settled",
  call,
  inputTokens: 10,
  outputTokens: 5,
  costNanoUsd: 100,
});

const voided = (call: number): JournalRecord => ({ type: "voided", call });

function accountOf(...records: JournalRecord[]): BatchAccount {
  const account = new BatchAccount();
  for (const record of records) account.apply(record);
  return account;
}

test("a call is charged with all that was set aside until its real use is known", () => {
  expect(accountOf(dispatched(1)).use).toStrictEqual({ calls: 1, tokens: 150, costNanoUsd: 1000 });
  const account = accountOf(dispatched(1), settled(1));
  expect(account.use).toStrictEqual({ calls: 1, tokens: 15, costNanoUsd: 100 });
  expect(account.settledTokens).toStrictEqual({ inputTokens: 10, outputTokens: 5 });
});

test("a call that never left costs nothing, the call included", () => {
  expect(accountOf(dispatched(1), voided(1)).use).toStrictEqual({
    calls: 0,
    tokens: 0,
    costNanoUsd: 0,
  });
});

test("only the first end of a call counts", () => {
  const account = accountOf(dispatched(1), settled(1), settled(1), voided(1));
  expect(account.use).toStrictEqual({ calls: 1, tokens: 15, costNanoUsd: 100 });
});

test("a call that was cut off keeps its key for the same job; one that ended does not", () => {
  const account = accountOf(dispatched(1, "a"), dispatched(2, "b"), settled(2));
  expect(account.keyOf("a")).toBe("key 1");
  expect(account.keyOf("b")).toBeUndefined();
  expect(account.nextCall).toBe(3);
});

const start = (open: boolean): JournalRecord => ({
  type: "start",
  v: 1,
  jobs: { bytes: 0, sha256: "0".repeat(64) },
  caps: { calls: 1, tokens: 1 },
  open,
});

test("the AI path was open to a batch that started open, or made a call", () => {
  expect(accountOf(start(false)).opened).toBe(false);
  expect(accountOf(start(true), start(false)).opened).toBe(true);
  expect(accountOf(start(false), dispatched(1)).opened).toBe(true);
});

test("whatever was lost of the journal's end, no less is charged than with it", () => {
  const ends = fc.array(fc.constantFrom(settled, voided, undefined), { maxLength: 20 });
  fc.assert(
    fc.property(ends, fc.nat(), (how, lost) => {
      const records = how.flatMap((end, index) => [
        dispatched(index),
        ...(end === undefined ? [] : [end(index)]),
      ]);
      const kept = records.slice(0, records.length - (lost % (records.length + 1)));
      const calls = kept.filter(({ type }) => type === "dispatched").length;
      const whole = accountOf(...records.filter((one) => "call" in one && one.call < calls)).use;
      const torn = accountOf(...kept).use;
      expect(torn.calls).toBeGreaterThanOrEqual(whole.calls);
      expect(torn.tokens).toBeGreaterThanOrEqual(whole.tokens);
      expect(torn.costNanoUsd).toBeGreaterThanOrEqual(whole.costNanoUsd);
    }),
  );
});
