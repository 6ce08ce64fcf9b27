import {
  admissionDimensions,
  Reason,
  type AdmissionDimension,
  type AdmissionFigures,
  type AdmissionState,
} from "@sluice/contract";

/** Whose limits a response tells: the subject's own, those of all subjects too, or none. */
export const rateLimitHeaderSets = ["subject", "all", "off"] as const;
export type RateLimitHeaders = (typeof rateLimitHeaderSets)[number];

interface Policy {
  readonly name: string;
  /** Counted for the subject alone. Others tell how much all may have, which is nobody's business. */
  readonly isOwn: boolean;
  /** Parameters of the policy besides its quota. */
  readonly parameters: string;
}

const inFlight = ';qu="concurrent-requests"';
const aDay = ";w=86400";

/** Source: draft-ietf-httpapi-ratelimit-headers-10, section 3.1; `qu` is "requests" where it is absent. */
const policies: Readonly<Record<AdmissionDimension, Policy>> = {
  user_in_flight: { name: "user-in-flight", isOwn: true, parameters: inFlight },
  global_in_flight: { name: "global-in-flight", isOwn: false, parameters: inFlight },
  message_rate: { name: "message-rate", isOwn: false, parameters: "" },
  user_budget: { name: "user-budget", isOwn: true, parameters: aDay },
  global_budget: { name: "global-budget", isOwn: false, parameters: aDay },
};

/** The largest integer of a structured field. Source: RFC 9651, section 3.3.1. */
const maxInteger = 999_999_999_999_999;

/**
 * `ratelimit-policy` and `ratelimit`, where there is something to tell. Budgets of tokens and of money are
 * left out: no quota unit is registered for them.
 * Source: draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4.
 * @param retrySeconds of a refusal: no `t` is later than it (section 6), and only what refused has one
 */
export function rateLimitFields(
  figures: AdmissionFigures | undefined,
  told: RateLimitHeaders,
  retrySeconds?: number,
): Readonly<Record<string, string>> {
  if (told === "off" || figures === undefined) return {};
  const quotas: string[] = [];
  const limits: string[] = [];
  const { states, violated } = figures;
  for (const state of states ?? []) {
    const policy = toldPolicy(state, told);
    if (policy === undefined) continue;
    const { name, parameters } = policy;
    const hasRefused = violated?.includes(state.dimension) === true;
    // What is left did not suffice, so nothing is left for a request like this one.
    const remaining = hasRefused ? 0 : toInteger(Math.floor(state.remaining));
    const seconds = toInteger(Math.ceil(state.resetMs / 1000));
    const t =
      retrySeconds === undefined ? seconds : hasRefused ? Math.min(seconds, retrySeconds) : 0;
    quotas.push(`"${name}";q=${toInteger(Math.floor(state.limit))}${parameters}`);
    limits.push(`"${name}";r=${remaining}${t > 0 ? `;t=${t}` : ""}`);
  }
  if (limits.length === 0) return {};
  return { "ratelimit-policy": quotas.join(", "), ratelimit: limits.join(", ") };
}

/** The policies that a refusal names; undefined where the store does not say which. */
export function violatedPolicies(
  reason: Reason,
  figures: AdmissionFigures | undefined,
): readonly string[] | undefined {
  if (reason === Reason.STORE_UNAVAILABLE) return undefined;
  const violated = figures?.violated ?? dimensionsOf(reason);
  const names = violated.filter(isDimension).map((dimension) => policies[dimension].name);
  return names.length === 0 ? undefined : names;
}

/** A reason that names one dimension; a budget's may be the subject's or that of all. */
function dimensionsOf(reason: Reason): readonly AdmissionDimension[] {
  return admissionDimensions.filter((dimension) => dimension.toUpperCase() === reason);
}

function toldPolicy(state: AdmissionState, told: RateLimitHeaders): Policy | undefined {
  const { dimension, mode = "enforce", unit } = state;
  // What comes from a store of the application's own is not made part of a header unseen.
  if (!isDimension(dimension) || mode !== "enforce") return undefined;
  const policy = policies[dimension];
  if (!policy.isOwn && told !== "all") return undefined;
  const isBudget = dimension === "user_budget" || dimension === "global_budget";
  return isBudget && unit !== "calls" ? undefined : policy;
}

function isDimension(dimension: string): dimension is AdmissionDimension {
  return Object.hasOwn(policies, dimension);
}

function toInteger(value: number): number {
  return Number.isNaN(value) ? 0 : Math.min(maxInteger, Math.max(0, value));
}
