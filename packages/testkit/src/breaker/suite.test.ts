import type { Breaker, BreakerState, ProviderHealth } from "@sluice/contract";
import { describePlantedFaults } from "../describe-planted-faults.ts";
import { FakeClock } from "../fake-clock.ts";
import type { CreateBreaker } from "./bench.ts";
import { breakerChecks } from "./suite.ts";

/** One way each in which a breaker can be wrong. */
const faults = [
  "never opens",
  "opens on the first failure",
  "opens on any failure once it saw enough",
  "opens only when everything fails",
  "neutral counts as a success",
  "neutral counts as a failure",
  "unsettled permits count",
  "refused asks count",
  "window never ends",
  "calls count when they start",
  "settles every time",
  "never half-open",
  "half-open too early",
  "probes are not bounded",
  "one good probe closes",
  "never closes",
  "bad probe is ignored",
  "reopens for half the time",
  "good probes are kept over reopening",
  "neutral probe keeps its place",
  "neutral probe counts as good",
  "neutral probe closes",
  "probe is settled every time",
  "closes with the old window",
  "stale success closes when open",
  "stale settlements count when half-open",
  "stale settlements count when closed",
  "stale probes count",
  "stale probes free a place",
  "stale probes keep their place",
  "late probes count once closed",
  "tells nothing",
  "tells the first listener only",
  "tells no half-open",
  "listener's error goes through",
  "unsettled probe stays for ever",
] as const;
type Fault = (typeof faults)[number];

/** A plain breaker, right but for one planted fault. */
function planted(fault?: Fault): CreateBreaker {
  const has = (one: Fault): boolean => fault === one;
  return (options) => {
    const clock = new FakeClock();
    const listeners: ((from: BreakerState, to: BreakerState) => void)[] = [];
    let state: BreakerState = "closed";
    let epoch = 0;
    let changedAtMs = 0;
    let openMs = options.openMs;
    let outcomes: { readonly atMs: number; readonly good: boolean }[] = [];
    let refused = 0;
    let unsettled = 0;
    let good = 0;
    let probes: { readonly atMs: number; readonly epoch: number }[] = [];

    const change = (to: BreakerState): void => {
      const from = state;
      state = to;
      epoch += 1;
      changedAtMs = clock.monotonicMs();
      if (!has("good probes are kept over reopening") || to === "closed") good = 0;
      if (!has("stale probes keep their place")) probes = [];
      if (to === "closed" && !has("closes with the old window")) outcomes = [];
      openMs = options.openMs;
      if (has("reopens for half the time") && from === "half_open") openMs /= 2;
      if (has("half-open too early")) openMs /= 2;
      if (has("tells nothing") || (has("tells no half-open") && to === "half_open")) return;
      const told = has("tells the first listener only") ? listeners.slice(0, 1) : listeners;
      for (const listener of told) {
        try {
          listener(from, to);
        } catch (error) {
          if (has("listener's error goes through")) throw error;
        }
      }
    };
    const current = (): BreakerState => {
      const due = clock.monotonicMs() - changedAtMs >= openMs;
      if (state === "open" && due && !has("never half-open")) change("half_open");
      return state;
    };
    const count = (isGood: boolean, atMs: number): void => {
      outcomes.push({ atMs, good: isGood });
      const fromMs = clock.monotonicMs() - options.windowMs;
      if (!has("window never ends")) outcomes = outcomes.filter((one) => one.atMs > fromMs);
      const bad = outcomes.filter((one) => !one.good).length;
      let all = outcomes.length;
      if (has("unsettled permits count")) all += unsettled;
      if (has("refused asks count")) all += refused;
      const enough = all >= options.minCalls || has("opens on the first failure");
      if (has("never opens") || !enough || bad === 0) return;
      const opens = bad / all > options.errorRate || has("opens on any failure once it saw enough");
      if (opens && !(has("opens only when everything fails") && bad < all)) change("open");
    };
    const settleProbe = (health: ProviderHealth): void => {
      if (health === "failure") {
        if (!has("bad probe is ignored")) change("open");
        return;
      }
      if (health === "neutral" && has("neutral probe closes")) change("closed");
      if (health === "neutral" && !has("neutral probe counts as good")) return;
      good += 1;
      const needed = has("one good probe closes") ? 1 : options.successesToClose;
      if (good >= needed && !has("never closes")) change("closed");
    };
    const settleStale = (health: ProviderHealth, wasProbe: boolean): void => {
      if (has("stale success closes when open") && state === "open" && health === "success") {
        change("closed");
      }
      const counts = wasProbe ? "stale probes count" : "stale settlements count when half-open";
      if (has(counts) && state === "half_open") settleProbe(health);
      const late = wasProbe
        ? "late probes count once closed"
        : "stale settlements count when closed";
      if (has(late) && state === "closed" && health !== "neutral") {
        count(health === "success", clock.monotonicMs());
      }
      if (has("stale probes free a place") && wasProbe) probes.shift();
    };

    const breaker: Breaker = {
      get state() {
        return current();
      },
      tryAcquire() {
        const asked = current();
        const askedAtMs = clock.monotonicMs();
        if (asked === "open") {
          refused += 1;
          return undefined;
        }
        const probe = { atMs: askedAtMs, epoch };
        if (asked === "half_open") {
          if (!has("unsettled probe stays for ever")) {
            probes = probes.filter(
              (one) => askedAtMs - one.atMs < options.openMs || one.epoch !== epoch,
            );
          }
          if (probes.length >= options.probes && !has("probes are not bounded")) return undefined;
          probes.push(probe);
        }
        const askedEpoch = epoch;
        unsettled += 1;
        let open = true;
        return {
          settle(health) {
            const again = asked === "closed" ? "settles every time" : "probe is settled every time";
            if (!open && !has(again)) return;
            if (open) unsettled -= 1;
            open = false;
            if (current() !== asked || askedEpoch !== epoch) {
              settleStale(health, asked === "half_open");
              return;
            }
            if (asked === "half_open") {
              const keeps = health === "neutral" && has("neutral probe keeps its place");
              if (!keeps) probes = probes.filter((one) => one !== probe);
              settleProbe(health);
              return;
            }
            const atMs = has("calls count when they start") ? askedAtMs : clock.monotonicMs();
            if (health !== "neutral") count(health === "success", atMs);
            else if (has("neutral counts as a success")) count(true, atMs);
            else if (has("neutral counts as a failure")) count(false, atMs);
          },
        };
      },
      onStateChange: (listener) => {
        listeners.push(listener);
      },
      close: () => undefined,
    };
    return {
      breaker,
      advance(ms) {
        clock.advance(ms);
        current();
      },
    };
  };
}

describePlantedFaults({
  name: "the suite of circuit breakers",
  checks: breakerChecks,
  faults,
  planted,
});
