import type { Decision, Measures, OutcomeRecord } from "@sluice/contract";
import { given } from "./given.ts";
import type { Run } from "./run-attempts.ts";
import type { Work } from "./work.ts";

const requestIdForm = /^[A-Za-z0-9_-]{1,64}$/;

/** The application's own id where it is one that records take, else the decision's. */
export function requestIdOf<In>(decision: Decision, work: Work<In>): string {
  const { requestId } = work.context.request;
  return requestId !== undefined && requestIdForm.test(requestId) ? requestId : decision.id;
}

/** Numbers and codes of one request. */
export function toRecord(parts: {
  readonly requestId: string;
  readonly latencyMs: number;
  readonly firstContentMs: number | undefined;
  readonly measures: Measures;
  /** Absent where nobody was to be called. */
  readonly run: Omit<Run<unknown>, "ran"> | undefined;
  /** The safe path answered although the request had been allowed. */
  readonly safePathUsed: boolean;
}): OutcomeRecord {
  const { requestId, latencyMs, firstContentMs, measures, run, safePathUsed } = parts;
  if (run === undefined) {
    return {
      requestId,
      fallbackUsed: safePathUsed,
      latencyMs,
      attempts: [],
      skipped: [],
      tools: [],
      measures,
    };
  }
  const { selected, answered, requested, promptTemplateVersion, usage, costNanoUsd } = run;
  const isFallback = answered !== selected;
  return {
    requestId,
    ...given("requestedProvider", requested),
    ...given("selectedProvider", selected),
    routeStrategy: run.strategy,
    ...(isFallback ? given("fallbackProvider", answered) : {}),
    fallbackUsed: safePathUsed || isFallback,
    ...given("promptTemplateVersion", promptTemplateVersion),
    latencyMs,
    ...given("firstContentMs", firstContentMs),
    attempts: run.attempts,
    skipped: run.skipped,
    tools: run.tools,
    ...given("usage", usage),
    ...given("costNanoUsd", costNanoUsd),
    measures,
  };
}
