import type { FaultName } from "./faults.ts";

/** How a request is made, and under which contract. */
export const modes = ["generate", "text stream", "structured stream"] as const;
export type Mode = (typeof modes)[number];

/**
 * What comes of it: a failure code, or who answered, and the calls made at `first`, or at `first` and
 * `second`. Of a refused connection no call arrives.
 */
type Cell = string;

type Row = readonly [
  /** Without retries: one provider; a pair. */
  one: Cell,
  pair: Cell,
  /** With one retry, and enough good calls before to allow it. */
  oneRetried: Cell,
  pairRetried: Cell,
  /** With one retry, at one provider that is well again on its second call. */
  once: Cell,
];

interface Expectation extends Readonly<Record<Mode, Row>> {
  /** What the breaker learns of each failed attempt. */
  readonly health: "failure" | "neutral" | "success";
  /** What the budget is charged for each failed attempt. */
  readonly charge: "reserved" | "told" | "turned down" | "void";
  /** The provider is left alone for a while. */
  readonly cools?: true;
}

/** The transport broke, or the upstream did, with nothing left: the retry, then the other one. */
const beforeContent = (code: string): Row => [
  `${code} 1`,
  "second 1+1",
  `${code} 2`,
  "second 2+1",
  "first 2",
];
/** Nothing is left, and its time is used up: the other one is asked at once, where there is one. */
const outOfTime = (code: string): Row => [
  `${code} 1`,
  "second 1+1",
  `${code} 2`,
  "second 1+1",
  "first 2",
];
/** Content has left: neither a retry nor failover, whatever is configured. */
const afterContent = (code: string): Row => [
  `${code} 1`,
  `${code} 1+0`,
  `${code} 1`,
  `${code} 1+0`,
  `${code} 1`,
];
/** Nobody waits for a busy provider while another is free; one that is alone is waited for, up to the cap. */
const busy: Row = [
  "PROVIDER_RATE_LIMITED 1",
  "second 1+1",
  "PROVIDER_RATE_LIMITED 2",
  "second 1+1",
  "first 2",
];
const busyForLong: Row = [
  "PROVIDER_RATE_LIMITED 1",
  "second 1+1",
  "PROVIDER_RATE_LIMITED 1",
  "second 1+1",
  "PROVIDER_RATE_LIMITED 1",
];
const well: Row = ["first 1", "first 1+0", "first 1", "first 1+0", "first 1"];

const inEveryMode = (row: Row): Readonly<Record<Mode, Row>> => ({
  generate: row,
  "text stream": row,
  "structured stream": row,
});

/** The upstream failed after bytes went out: the breaker hears of it, the worst case stays charged. */
const failed = { health: "failure", charge: "reserved" } as const;
/** It asked to be left alone, which is no failure of its, and made no token. */
const left = { health: "neutral", charge: "turned down", cools: true } as const;

/**
 * What must come of each fault. Written from the design, not from the code: a structured stream holds its
 * content back, so that it can be retried and failed over after content where a text stream cannot.
 */
export const expectations: Readonly<Record<FaultName, Expectation>> = {
  "cut before content": { ...failed, ...inEveryMode(beforeContent("STREAM_CUT")) },
  "cut after content": {
    ...failed,
    generate: beforeContent("STREAM_CUT"),
    "text stream": afterContent("STREAM_CUT"),
    "structured stream": beforeContent("STREAM_CUT"),
  },
  "reset after content": {
    ...failed,
    generate: beforeContent("STREAM_CUT"),
    "text stream": afterContent("STREAM_CUT"),
    "structured stream": beforeContent("STREAM_CUT"),
  },
  "clean end without a finish": {
    ...failed,
    // A body that ended well and is half a JSON is none.
    generate: beforeContent("PROVIDER_UNAVAILABLE"),
    "text stream": afterContent("STREAM_CUT"),
    "structured stream": beforeContent("STREAM_CUT"),
  },
  "hang before the first byte": { ...failed, ...inEveryMode(outOfTime("PROVIDER_TIMEOUT")) },
  "hang after three chunks": {
    ...failed,
    // No clock between chunks: the answer is asked for whole.
    generate: outOfTime("PROVIDER_TIMEOUT"),
    "text stream": afterContent("STREAM_STALLED"),
    "structured stream": outOfTime("STREAM_STALLED"),
  },
  "signs of life after three chunks": {
    ...failed,
    // They hold off the clock between chunks, and not that of the attempt.
    generate: outOfTime("PROVIDER_TIMEOUT"),
    "text stream": afterContent("PROVIDER_TIMEOUT"),
    "structured stream": outOfTime("PROVIDER_TIMEOUT"),
  },
  "error event first": { ...failed, ...inEveryMode(beforeContent("PROVIDER_UNAVAILABLE")) },
  "error event after content": {
    ...failed,
    generate: beforeContent("PROVIDER_UNAVAILABLE"),
    "text stream": afterContent("PROVIDER_UNAVAILABLE"),
    "structured stream": beforeContent("PROVIDER_UNAVAILABLE"),
  },
  "error event after usage": {
    health: "failure",
    charge: "told",
    generate: beforeContent("PROVIDER_UNAVAILABLE"),
    "text stream": afterContent("PROVIDER_UNAVAILABLE"),
    "structured stream": beforeContent("PROVIDER_UNAVAILABLE"),
  },
  "malformed frame first": { ...failed, ...inEveryMode(beforeContent("PROVIDER_UNAVAILABLE")) },
  "malformed frame after content": {
    ...failed,
    generate: beforeContent("PROVIDER_UNAVAILABLE"),
    "text stream": afterContent("PROVIDER_UNAVAILABLE"),
    "structured stream": beforeContent("PROVIDER_UNAVAILABLE"),
  },
  "empty 200": { ...failed, ...inEveryMode(beforeContent("PROVIDER_UNAVAILABLE")) },
  "slow first content within the limit": {
    health: "success",
    charge: "reserved",
    ...inEveryMode(well),
  },
  "slow first content beyond the limit": {
    ...failed,
    ...inEveryMode(outOfTime("PROVIDER_TIMEOUT")),
  },
  "HTML 502": { ...failed, ...inEveryMode(beforeContent("PROVIDER_UNAVAILABLE")) },
  "connection reset": { ...failed, ...inEveryMode(beforeContent("PROVIDER_UNAVAILABLE")) },
  "connection refused": {
    health: "failure",
    // No byte left the process.
    charge: "void",
    ...inEveryMode([
      "PROVIDER_UNAVAILABLE 0",
      "second 0+1",
      "PROVIDER_UNAVAILABLE 0",
      "second 0+1",
      "PROVIDER_UNAVAILABLE 0",
    ]),
  },
  "429 without retry-after": { ...left, ...inEveryMode(busy) },
  "429 with retry-after 1": { ...left, ...inEveryMode(busy) },
  "429 with retry-after 30": { ...left, ...inEveryMode(busyForLong) },
};

export interface ExpectedCell {
  /** Who answered; undefined where the request failed. */
  readonly by: string | undefined;
  readonly code: string | undefined;
  readonly calls: readonly [first: number, second: number];
}

export function parseCell(cell: Cell): ExpectedCell {
  const [what = "", calls = ""] = cell.split(" ");
  const [first = 0, second = 0] = calls.split("+").map(Number);
  const answers = what === "first" || what === "second";
  return {
    by: answers ? what : undefined,
    code: answers ? undefined : what,
    calls: [first, second],
  };
}
