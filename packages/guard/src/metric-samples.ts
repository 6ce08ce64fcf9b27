import type {
  AdmissionVerdict,
  Decision,
  MetricArm,
  OutcomeSample,
  ResponseSample,
  TrailEntry,
} from "@sluice/contract";
import type { Ended } from "./event-builders.ts";
import { given } from "./given.ts";

/** What a request was assigned to, whoever answered it in the end. */
const arms: Readonly<Record<Decision["effect"], MetricArm>> = {
  allow: "ai",
  divert: "stub",
  reject: "none",
};

const admissionVerdicts: Readonly<Record<TrailEntry["verdict"], AdmissionVerdict["verdict"]>> = {
  allow: "allow",
  divert: "reject",
  reject: "reject",
  indeterminate_open: "indeterminate",
  indeterminate_closed: "indeterminate",
  would_divert: "would_reject",
  would_reject: "would_reject",
  would_indeterminate: "indeterminate",
};

/** Numbers, codes and configured names of one outcome. */
export function outcomeSample(outcome: Ended): OutcomeSample {
  const { decision, record } = outcome;
  return {
    kind: "outcome",
    feature: decision.feature,
    arm: arms[decision.effect],
    ...given("provider", record.selectedProvider),
    outcome: outcome.status,
    ...given("reason", outcome.reason),
    ...given("code", outcome.failure?.code),
    fallbackUsed: record.fallbackUsed,
    latencyMs: record.latencyMs,
    ...given("firstContentMs", record.firstContentMs),
    admission: decision.trail
      .filter(({ gate }) => gate === "admission")
      .map(({ verdict, reason }) => ({
        verdict: admissionVerdicts[verdict],
        ...given("reason", reason),
      })),
    queueMs: record.tools.map(({ waitMs }) => waitMs),
    ...given("inputTokens", record.usage?.inputTokens),
    ...given("outputTokens", record.usage?.outputTokens),
    ...given("costNanoUsd", record.costNanoUsd),
    measures: { ...record.measures },
  };
}

/** What of an outcome counts for the response that it became. */
export type Answered = Pick<Ended, "decision" | "record">;

export function responseSample(
  feature: string,
  status: number,
  answered: Answered | undefined,
): ResponseSample {
  return {
    kind: "response",
    feature,
    arm: answered === undefined ? "none" : arms[answered.decision.effect],
    ...given("provider", answered?.record.selectedProvider),
    status,
  };
}
