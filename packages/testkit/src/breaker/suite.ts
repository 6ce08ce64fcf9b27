import { describeChecks, type Check } from "../conformance.ts";
import type { CreateBreaker } from "./bench.ts";
import { closedChecks } from "./closed-checks.ts";
import { probeChecks } from "./probe-checks.ts";
import { staleChecks } from "./stale-checks.ts";
import { stateChecks } from "./state-checks.ts";
import { traceChecks } from "./trace-checks.ts";

export const breakerChecks: readonly Check<CreateBreaker>[] = [
  ...closedChecks,
  ...probeChecks,
  ...staleChecks,
  ...stateChecks,
  ...traceChecks,
];

/** What every circuit breaker does, whatever machine is behind the port. */
export function describeBreaker(name: string, create: CreateBreaker): void {
  describeChecks(`${name} as a circuit breaker`, breakerChecks, create);
}
