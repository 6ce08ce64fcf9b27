import type {
  AdmissionVerdict,
  CheckSample,
  Decision,
  MetricArm,
  OutcomeSample,
  ResponseSample,
  TrailEntry,
} from "@sluice/contract";
import type { Ended } from "./event-builders.ts";
import { given } from "./given.ts";

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

/** What a request was assigned to, whoever answered it in the end. */
function armOf({ decision, path }: Answered, isShadow: boolean): MetricArm {
  if (isShadow) return "shadow";
  return decision.effect === "divert" && path === "legacy" ? "legacy" : arms[decision.effect];
}

function admissionOf({ trail }: Decision): AdmissionVerdict[] {
  return trail
    .filter(({ gate }) => gate === "admission")
    .map(({ verdict, reason }) => ({
      verdict: admissionVerdicts[verdict],
      ...given("reason", reason),
    }));
}

/** What the gates of a shadow said. */
export function checkSample(decision: Decision): CheckSample {
  return {
    kind: "check",
    feature: decision.feature,
    arm: "shadow",
    effect: decision.effect,
    ...given("reason", decision.reason),
    admission: admissionOf(decision),
  };
}

/** Numbers, codes and configured names of one outcome. */
export function outcomeSample(outcome: Ended, isShadow: boolean): OutcomeSample {
  const { decision, record } = outcome;
  return {
    kind: "outcome",
    feature: decision.feature,
    arm: armOf(outcome, isShadow),
    ...given("provider", record.selectedProvider),
    outcome: outcome.status,
    ...given("reason", outcome.reason),
    ...given("code", outcome.failure?.code),
    fallbackUsed: record.fallbackUsed,
    latencyMs: record.latencyMs,
    ...given("firstContentMs", record.firstContentMs),
    admission: admissionOf(decision),
    queueMs: record.tools.map(({ waitMs }) => waitMs),
    ...given("inputTokens", record.usage?.inputTokens),
    ...given("outputTokens", record.usage?.outputTokens),
    ...given("costNanoUsd", record.costNanoUsd),
    measures: { ...record.measures },
  };
}

/** What of an outcome counts for the response that it became. */
export type Answered = Pick<Ended, "decision" | "record"> & { readonly path?: Ended["path"] };

/** `legacy`: the caller's own handler answered, and nobody decided on the request. */
export type AnsweredBy = Answered | "legacy";

export function responseSample(
  feature: string,
  sent: {
    readonly status: number;
    readonly answered: AnsweredBy | undefined;
    readonly firstByteMs: number | undefined;
  },
  isShadow: boolean,
): ResponseSample {
  const { status, answered, firstByteMs } = sent;
  const sample = { kind: "response", feature, status } as const;
  if (answered === undefined || answered === "legacy") {
    const arm = isShadow ? "shadow" : (answered ?? "none");
    return { ...sample, arm, ...given("firstByteMs", firstByteMs) };
  }
  return {
    ...sample,
    arm: armOf(answered, isShadow),
    ...given("provider", answered.record.selectedProvider),
    ...given("firstByteMs", firstByteMs),
  };
}
