import type { Clock } from "@sluice/contract";
import { callQuietly } from "./call-quietly.ts";
import type { SqlQuery } from "./database.ts";
import { errorCode } from "./error-code.ts";
import { isRefusal } from "./is-refusal.ts";
import { metricRows, metricStatement } from "./metric-rows.ts";
import type { MetricWindow } from "./metric-window.ts";

/**
 * How writing goes. `written`: as it should, again. `away`: the database takes no write, and windows wait.
 * `refused`: the table turned a window down for what it holds, and that is lost. `dropping`: more came than
 * may be held, and that is lost.
 */
export type MetricWindowsState = "written" | "away" | "refused" | "dropping";

/** A change of state; told once each, never per request or window. */
export interface MetricWindowsProblem {
  readonly state: MetricWindowsState;
  /** SQLSTATE or the system's code, where there is one. The error's text is left out. */
  readonly code?: string;
  /** Windows that wait. */
  readonly pending: number;
  /** Samples, and single values of samples, lost since the start. */
  readonly dropped: number;
}

export interface MetricWindowWriterOptions {
  readonly query: SqlQuery;
  readonly clock: Clock;
  readonly random: () => number;
  readonly table: string;
  readonly instanceId: string;
  /** Windows that may wait; the oldest is dropped for one more. */
  readonly maxPending: number;
  readonly onProblem: (problem: MetricWindowsProblem) => void;
}

export interface MetricWindowWriter {
  /** A window to be written; also one that is not over, and again when it is. */
  add(window: MetricWindow): void;
  /** What was lost before it came into a window. */
  lose(count: number): void;
  lost(): number;
  /** Goes on with writing where that is due. */
  tick(): void;
  /** Tries at once; resolves when no window waits. */
  drain(): Promise<void>;
  /** Loses what waits. What is answered later changes nothing. */
  giveUp(): void;
}

const backOffStartMs = 1_000;
const backOffMaxMs = 30_000;
/** Without losses for so long, writing goes as it should again. */
const calmMs = 60_000;

/** Writes windows, the oldest first, one statement at a time. Those whose write failed are written again. */
export function metricWindowWriter(options: MetricWindowWriterOptions): MetricWindowWriter {
  const { query, clock, random, table, instanceId, maxPending } = options;
  const statement = metricStatement(table);

  const queue: MetricWindow[] = [];
  let underWay: MetricWindow | undefined;
  let backOffMs = backOffStartMs;
  let notBeforeMs = -Infinity;
  let lost = 0;
  let hasLost = false;
  let isGivenUp = false;
  let state: MetricWindowsState = "written";
  let troubledAtMs = 0;
  const waiters: (() => void)[] = [];

  const tell = (next: MetricWindowsState, code?: string): void => {
    if (state === next) return;
    state = next;
    const pending = queue.length;
    callQuietly(() =>
      options.onProblem({
        state: next,
        ...(code !== undefined && { code }),
        pending,
        dropped: lost,
      }),
    );
  };

  /** Losses are told when the database has answered; while it is away that alone is told. */
  const review = (): void => {
    if (state === "away") return;
    if (hasLost) {
      hasLost = false;
      troubledAtMs = clock.monotonicMs();
      if (state === "written") tell("dropping");
    } else if (clock.monotonicMs() - troubledAtMs >= calmMs) {
      tell("written");
    }
  };

  const loseWindow = (window: MetricWindow | undefined): void => {
    if (window === undefined) return;
    lost += window.samples - window.settled;
    window.settled = window.samples;
    hasLost = true;
  };

  const enqueue = (window: MetricWindow, where: "first" | "last"): void => {
    if (queue.includes(window)) return;
    if (where === "first") queue.unshift(window);
    else queue.push(window);
    if (queue.length > maxPending) loseWindow(queue.shift());
  };

  const settle = (): void => {
    if (queue.length > 0 || underWay !== undefined) return;
    for (const resolve of waiters.splice(0)) resolve();
  };

  /** False when the database is away. */
  const write = async (window: MetricWindow): Promise<boolean> => {
    const { samples } = window;
    try {
      await query(statement, [metricRows(window), window.startMs, instanceId, window.part]);
    } catch (error) {
      if (isGivenUp) return false;
      const code = errorCode(error);
      if (code === undefined || !isRefusal(code)) {
        enqueue(window, "first");
        tell("away", code);
        return false;
      }
      loseWindow(window);
      hasLost = false;
      troubledAtMs = clock.monotonicMs();
      tell("refused", code);
      return true;
    }
    if (isGivenUp) return false;
    window.settled = Math.max(window.settled, samples);
    backOffMs = backOffStartMs;
    if (state === "away") tell("written");
    review();
    return true;
  };

  const writeAll = async (): Promise<void> => {
    for (let window = queue.shift(); window !== undefined; window = queue.shift()) {
      underWay = window;
      const isAnswered = await write(window);
      underWay = undefined;
      if (isAnswered) continue;
      // Of many processes that lost the same database, not all come back at once.
      notBeforeMs = clock.monotonicMs() + backOffMs * (0.5 + random() / 2);
      backOffMs = Math.min(backOffMs * 2, backOffMaxMs);
      return;
    }
    settle();
  };

  const start = (): void => {
    if (underWay === undefined && queue.length > 0 && clock.monotonicMs() >= notBeforeMs) {
      void writeAll();
    }
  };

  return {
    add(window) {
      if (isGivenUp) loseWindow(window);
      else if (window.series().length > 0) enqueue(window, "last");
    },
    lose(count) {
      if (count === 0) return;
      lost += count;
      hasLost = true;
    },
    lost: () => lost,
    tick() {
      review();
      start();
    },
    drain() {
      backOffMs = backOffStartMs;
      notBeforeMs = -Infinity;
      start();
      if (underWay === undefined && queue.length === 0) return Promise.resolve();
      return new Promise((resolve) => {
        waiters.push(resolve);
      });
    },
    giveUp() {
      isGivenUp = true;
      loseWindow(underWay);
      for (const window of queue.splice(0)) loseWindow(window);
      underWay = undefined;
      settle();
    },
  };
}
