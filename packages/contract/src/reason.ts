/** Why a request was diverted or rejected. One thing has one code; the docs page lists the same set. */
export const Reason = {
  /** The feature is not enabled. */
  FLAG_OFF: "FLAG_OFF",
  /** The flags could not be confirmed within the staleness limit. */
  FLAGS_STALE: "FLAGS_STALE",
  /** A kill is engaged: in the flag source, or in this process. */
  KILLED: "KILLED",
  /** The job or request did not opt in. */
  NOT_OPTED_IN: "NOT_OPTED_IN",
  /** No allowlist rule permits the subject with its attributes. */
  NOT_ALLOWLISTED: "NOT_ALLOWLISTED",
  /** The subject's bucket is outside the rollout percentage, or the subject can never be eligible. */
  NOT_IN_ROLLOUT: "NOT_IN_ROLLOUT",
  /** The run has no call left. */
  BUDGET_CALLS: "BUDGET_CALLS",
  /** The run has too few tokens left for the prompt and the smallest useful answer. */
  BUDGET_TOKENS: "BUDGET_TOKENS",
  /** The run has too little money left for the prompt and the smallest useful answer. */
  BUDGET_COST: "BUDGET_COST",
  /** No candidate of the route has a circuit-breaker permit, or none is configured. */
  CIRCUIT_OPEN: "CIRCUIT_OPEN",
  /** The tripwire shut the feature in this process, or for this run. */
  TRIPPED: "TRIPPED",
  /** The subject already has as many requests in flight as it may. */
  USER_IN_FLIGHT: "USER_IN_FLIGHT",
  /** As many requests are in flight as the feature may have. */
  GLOBAL_IN_FLIGHT: "GLOBAL_IN_FLIGHT",
  /** Messages arrive faster than the rate limit lets them. */
  MESSAGE_RATE: "MESSAGE_RATE",
  /** Tool calls arrive faster than the rate limit lets them. */
  TOOL_RATE: "TOOL_RATE",
  /** The tool queue is full. */
  TOOL_QUEUE_FULL: "TOOL_QUEUE_FULL",
  /** A tool call waited longer than the queue allows. */
  TOOL_QUEUE_TIMEOUT: "TOOL_QUEUE_TIMEOUT",
  /** The store that a gate asks could not answer, and the gate fails closed. */
  STORE_UNAVAILABLE: "STORE_UNAVAILABLE",
} as const;

export type Reason = (typeof Reason)[keyof typeof Reason];
