import type { Clock } from "@sluice/contract";
import type { OpenCircuits } from "./metric-circuits.ts";
import { createMetricWindow, type MetricWindow, startOfWindow, windowMs } from "./metric-window.ts";

export interface MetricTimelineOptions {
  readonly clock: Clock;
  readonly circuits: OpenCircuits;
  readonly maxSeries: number;
  /** How many windows back a process that stood still is caught up. */
  readonly maxWindows: number;
  /** A window is over: nothing more is added to it. */
  readonly onEnd: (window: MetricWindow) => void;
  /** Figures found no room in their window. */
  readonly onLost: (count: number) => void;
}

export interface MetricTimeline {
  /** The window of now. */
  now(): MetricWindow;
  /** The window that is not over yet, if something happened in it. */
  open(): MetricWindow | undefined;
  /** Gives open circuits the time that passed, and ends a window that is over. */
  advance(): void;
  /** Ends also the window that is not over. */
  end(): void;
}

/**
 * The order of windows. In one part they only move forward: where the wall clock steps back to a window that
 * was left, the part goes up, so that a later row adds to the earlier one and never replaces it.
 */
export function metricTimeline(options: MetricTimelineOptions): MetricTimeline {
  const { clock, circuits, maxSeries, maxWindows, onEnd, onLost } = options;
  let window: MetricWindow | undefined;
  let newestStartMs = -Infinity;
  let part = 0;
  let lastWallMs = clock.wallMs();
  let lastMonotonicMs = clock.monotonicMs();

  const endWindow = (): void => {
    const ended = window;
    window = undefined;
    if (ended !== undefined) onEnd(ended);
  };

  const windowAt = (startMs: number): MetricWindow => {
    if (window?.startMs === startMs) return window;
    endWindow();
    if (startMs <= newestStartMs) part += 1;
    newestStartMs = startMs;
    window = createMetricWindow(startMs, part, maxSeries);
    return window;
  };

  /**
   * Time is taken from the monotonic clock and laid back from what the wall clock shows now, over each window
   * that it covers, but over none twice: not from before the last look, nor from a window left by a step back.
   */
  const addOpenTime = (wallMs: number, elapsedMs: number): void => {
    const startMs = startOfWindow(wallMs);
    const earliestMs = wallMs >= lastWallMs ? lastWallMs : startMs;
    let fromMs = Math.max(wallMs - elapsedMs, earliestMs, startMs - maxWindows * windowMs);
    while (fromMs < wallMs) {
      const toMs = Math.min(startOfWindow(fromMs) + windowMs, wallMs);
      const without = circuits.addOpenMs(windowAt(startOfWindow(fromMs)), toMs - fromMs);
      if (without > 0) onLost(without);
      fromMs = toMs;
    }
  };

  const advance = (): void => {
    const wallMs = clock.wallMs();
    const monotonicMs = clock.monotonicMs();
    if (circuits.size() > 0) addOpenTime(wallMs, monotonicMs - lastMonotonicMs);
    lastWallMs = wallMs;
    lastMonotonicMs = monotonicMs;
    if (window !== undefined && window.startMs !== startOfWindow(wallMs)) endWindow();
  };

  return {
    now() {
      const startMs = startOfWindow(clock.wallMs());
      if (window?.startMs === startMs) return window;
      advance();
      return windowAt(startOfWindow(lastWallMs));
    },
    open: () => window,
    advance,
    end() {
      advance();
      endWindow();
    },
  };
}
