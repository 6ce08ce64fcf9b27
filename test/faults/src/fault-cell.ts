import type { UpstreamAnswer } from "@sluice/testkit";
import { expect } from "vitest";
import { ask, type Answer } from "./ask.ts";
import { piecesOf, usage, wellAnswer } from "./chat-wire.ts";
import { expectations, parseCell, type ExpectedCell, type Mode } from "./expectations.ts";
import { faults, type Fault, type FaultName } from "./faults.ts";
import { stubValue } from "./feature-guard.ts";
import { startGuardBench, type GuardBench } from "./guard-bench.ts";

export interface FaultCell {
  readonly fault: FaultName;
  readonly mode: Mode;
  readonly route: "one" | "pair";
  /** 1: good calls before have earned the retry. */
  readonly maxRetries: 0 | 1;
  /** `once`: the provider is well again on its next call. */
  readonly strikes: "always" | "once";
  readonly onFailure: "failed" | "stub";
  /** The table's word. */
  readonly expected: string;
}

/** With them 2 failures are above the error rate, and 1 is not. */
const goodCallsBefore = 5;
const breaker = { minCalls: 1, errorRate: 0.25, windowMs: 60_000, openMs: 60_000 } as const;
/** Soon over, and not so short that a busy machine reaches it where it should not be reached. */
export const shortMs = 500;
/** Far above what is ended by a clock, and far below the clocks of what is not. */
export const promptlyMs = 4000;

const request = { subject: "ann", run: "cell" };

/** Makes one request into a fault and holds everything that comes of it against the table. */
export async function expectCell(cell: FaultCell): Promise<Answer> {
  const { mode, route, maxRetries, onFailure } = cell;
  const fault: Fault = faults[cell.fault];
  const limit = limitFor(mode, fault);
  const bench = await startGuardBench({ mode, route, maxRetries, onFailure, breaker, ...limit });
  try {
    for (let call = 0; call < (maxRetries === 0 ? 0 : goodCallsBefore); call += 1) {
      const { outcome } = await ask(bench, mode, { subject: "ann", run: "before" });
      expect(outcome.status).toBe("SUCCEEDED");
    }
    const before = callsOf(bench);
    const seen = Promise.withResolvers<void>();
    // Only of plain text can be told from outside that it has been read.
    if (mode !== "text stream" || fault.pieces === 0) seen.resolve();
    await strike(bench, fault, cell.strikes, seen.promise);
    const answer = await ask(bench, mode, request, (pieces) => {
      if (pieces === fault.pieces) seen.resolve();
    });
    await bench.expectLetGo();

    const expected = parseCell(cell.expected);
    const calls = callsOf(bench).map((count, index) => count - (before[index] ?? 0));
    expect(calls, "upstream calls").toEqual(expected.calls);
    const failedAttempts = expectOutcome(cell, expected, answer);
    expectEvents(cell, expected, answer);
    expect(answer.ms).toBeLessThan(promptlyMs);
    expectTold(answer, bench);
    expectNothingHeld(bench);
    expectBudget(cell, expected, failedAttempts, bench);
    expectHealth(cell, failedAttempts, bench);
    await expectNextRequest(cell, bench);
    return answer;
  } finally {
    await bench.close();
  }
}

/** The one clock that has to tell of a fault is short; none of the others can stand in for it. */
export function limitFor(
  mode: Mode,
  { silent }: Fault,
): { readonly gapMs?: number; readonly attemptMs?: number } {
  if (silent === undefined) return {};
  return silent === "alive" || mode === "generate" ? { attemptMs: shortMs } : { gapMs: shortMs };
}

const callsOf = ({ first, second }: GuardBench): readonly number[] => [
  first.requests.length,
  second.requests.length,
];

async function strike(
  { first }: GuardBench,
  { answer }: Fault,
  strikes: FaultCell["strikes"],
  seen: Promise<void>,
): Promise<void> {
  if (answer === undefined) {
    await first.close();
    return;
  }
  const struck: UpstreamAnswer = (res, asked) => {
    if (strikes === "once") first.answerWith(wellAnswer);
    answer(res, asked, seen);
  };
  first.answerWith(struck);
}

/** Returns how many attempts at `first` failed. */
function expectOutcome(cell: FaultCell, expected: ExpectedCell, { outcome }: Answer): number {
  const { by, code } = expected;
  const { record } = outcome;
  const failed = record.attempts.filter((attempt) => attempt.code !== undefined);
  expect(failed.every(({ provider }) => provider === "first")).toBe(true);
  expect(record.selectedProvider).toBe("first");
  if (by === undefined) {
    const stubbed = cell.onFailure === "stub" && textThatLeft(cell) === "";
    expect(outcome).toMatchObject({
      status: "FAILED",
      path: stubbed ? "stub" : "ai",
      failure: { code },
      value: stubbed ? stubValue : { status: "FAILED", code },
      record: { fallbackUsed: stubbed },
    });
  } else {
    expect(outcome).toMatchObject({
      status: "SUCCEEDED",
      value: valueOf(cell.mode, by),
      record: { fallbackUsed: by === "second" },
    });
    expect(record.fallbackProvider).toBe(by === "second" ? "second" : undefined);
  }
  if (cell.fault !== "connection refused") {
    const [first, second] = expected.calls;
    expect(record.attempts).toHaveLength(first + second);
  }
  return failed.length;
}

function expectEvents(cell: FaultCell, { by }: ExpectedCell, answer: Answer): void {
  if (cell.mode === "generate") return;
  const { events, text, committed } = answer;
  const terminal = events.filter((type) => type === "finish" || type === "failed");
  const left = textThatLeft(cell);
  const stubbed = by === undefined && cell.onFailure === "stub" && left === "";
  expect(terminal, "terminal events").toEqual([by === undefined && !stubbed ? "failed" : "finish"]);
  expect(events.at(-1), "the last event").toBe(terminal[0]);
  if (by !== undefined) expect(text).toBe(textOf(cell.mode, by));
  else if (!stubbed) expect(text).toBe(left);
  else {
    expect(text).toBe(cell.mode === "text stream" ? stubValue.text : JSON.stringify(stubValue));
  }
  // Status and headers are the host's until the model's first content.
  expect(committed).toBe(cell.mode === "text stream" && (by !== undefined || left !== ""));
}

/** Observers hear once of a request, what its caller was told. */
function expectTold({ outcome }: Answer, { guard, record }: GuardBench): void {
  guard.flush();
  const told = record.of("outcome").filter((event) => event.decision_id === outcome.decision.id);
  expect(told, "outcome events").toHaveLength(1);
  expect(told[0]).toMatchObject({
    outcome: outcome.status,
    selected_provider: outcome.record.selectedProvider,
    fallback_used: outcome.record.fallbackUsed,
  });
  expect(told[0]?.failure_code).toBe(
    outcome.status === "FAILED" ? outcome.failure.code : undefined,
  );
}

function expectNothingHeld({ guard, admission }: GuardBench): void {
  expect(guard.inFlight).toBe(0);
  const reply = admission.acquire(request.subject);
  // The store's limit is one request at a time.
  expect(reply).toMatchObject({ admitted: true });
  if (typeof reply === "object" && "admitted" in reply && reply.admitted) reply.lease.release();
}

function expectBudget(
  cell: FaultCell,
  { by }: ExpectedCell,
  failedAttempts: number,
  { guard, reservedTokens }: GuardBench,
): void {
  const { charge } = expectations[cell.fault];
  const answered = by === undefined ? 0 : 1;
  const perFailure = {
    void: 0,
    "turned down": 0,
    reserved: reservedTokens,
    // In a stream that broke off, what was told before is no more than a lower bound.
    told: cell.mode === "generate" ? usage.total_tokens : reservedTokens,
  }[charge];
  const use = guard.budget.use(request.run);
  expect(use.calls, "calls charged").toBe((charge === "void" ? 0 : failedAttempts) + answered);
  expect(use.tokens, "tokens charged").toBe(
    failedAttempts * perFailure + answered * usage.total_tokens,
  );
}

function expectHealth(cell: FaultCell, failedAttempts: number, bench: GuardBench): void {
  expect(bench.health(), "breakers").toEqual({
    first: { breaker: opens(cell, failedAttempts) ? "open" : "closed", cools: coolsAfter(cell) },
    ...(cell.route === "pair" ? { second: { breaker: "closed", cools: false } } : {}),
  });
}

function opens({ fault, maxRetries }: FaultCell, failedAttempts: number): boolean {
  const needed = maxRetries === 0 ? 1 : 2;
  return expectations[fault].health === "failure" && failedAttempts >= needed;
}

/** What was waited for before a retry that then succeeded is over. */
function coolsAfter({ fault, expected }: FaultCell): boolean {
  return expectations[fault].cools === true && !expected.startsWith("first");
}

/** The slot is free again, and a provider that is out is passed over without a call. */
async function expectNextRequest(cell: FaultCell, bench: GuardBench): Promise<void> {
  const isDown = faults[cell.fault].answer === undefined;
  const cools = coolsAfter(cell);
  const passedOver = cools || bench.health()["first"]?.breaker === "open";
  bench.first.answerWith(wellAnswer);
  const before = callsOf(bench);
  const { outcome } = await ask(bench, cell.mode, { subject: "ann", run: "next" });
  const calls = callsOf(bench).map((count, index) => count - (before[index] ?? 0));
  if (!passedOver && !isDown) {
    expect(outcome).toMatchObject({ status: "SUCCEEDED", record: { selectedProvider: "first" } });
    expect(calls).toEqual([1, 0]);
  } else if (cell.route === "pair") {
    expect(outcome).toMatchObject({
      status: "SUCCEEDED",
      value: valueOf(cell.mode, "second"),
      record: passedOver
        ? { skipped: [{ provider: "first", why: cools ? "cooling_down" : "circuit_open" }] }
        : { fallbackProvider: "second" },
    });
    expect(calls).toEqual([0, 1]);
  } else if (passedOver) {
    expect(outcome).toMatchObject({ status: "STUBBED", reason: "CIRCUIT_OPEN" });
    expect(calls).toEqual([0, 0]);
  } else expect(outcome).toMatchObject({ status: "FAILED" });
  expect(bench.guard.inFlight).toBe(0);
}

function textThatLeft({ fault, mode }: FaultCell): string {
  return mode === "text stream"
    ? piecesOf("first", false).slice(0, faults[fault].pieces).join("")
    : "";
}

function valueOf(mode: Mode, by: string): unknown {
  return mode === "text stream"
    ? { status: "OK", text: textOf(mode, by) }
    : JSON.parse(textOf(mode, by));
}

function textOf(mode: Mode, by: string): string {
  return piecesOf(by, mode !== "text stream").join("");
}
