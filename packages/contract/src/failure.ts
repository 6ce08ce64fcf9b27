/** Why an allowed request did not succeed. The docs page lists the same set. */
export const FailureCode = {
  /** The provider did not answer within the attempt's time limit. */
  PROVIDER_TIMEOUT: "PROVIDER_TIMEOUT",
  /** The provider refused for its rate limit; a later call may succeed. */
  PROVIDER_RATE_LIMITED: "PROVIDER_RATE_LIMITED",
  /** The account's quota is spent; calling again cannot help. */
  PROVIDER_QUOTA: "PROVIDER_QUOTA",
  /** The key is missing, wrong, or lacks the right. */
  PROVIDER_AUTH: "PROVIDER_AUTH",
  /** The provider answered 5xx, dropped the connection, or could not be reached. */
  PROVIDER_UNAVAILABLE: "PROVIDER_UNAVAILABLE",
  /** The provider called the request itself wrong. */
  PROVIDER_BAD_REQUEST: "PROVIDER_BAD_REQUEST",
  /** The model refused to answer. */
  REFUSED: "REFUSED",
  /** The provider's content filter stopped the prompt or the answer. */
  CONTENT_FILTERED: "CONTENT_FILTERED",
  /** The answer's body or stream ended before it was complete. */
  STREAM_CUT: "STREAM_CUT",
  /** The stream went silent for longer than its limit. */
  STREAM_STALLED: "STREAM_STALLED",
  /** The answer reached the output cap before it was complete. */
  OUTPUT_TRUNCATED: "OUTPUT_TRUNCATED",
  /** The answer is not JSON. */
  OUTPUT_NOT_JSON: "OUTPUT_NOT_JSON",
  /** The answer is JSON but does not parse under the contract. */
  OUTPUT_SCHEMA_INVALID: "OUTPUT_SCHEMA_INVALID",
  /** The feature was shut after content had left. */
  KILLED: "KILLED",
  /** The caller went away. */
  CLIENT_ABORTED: "CLIENT_ABORTED",
  /** A defect on our side of the provider: a provider or a stub threw, or a stub's value does not parse. */
  INTERNAL: "INTERNAL",
} as const;

export type FailureCode = (typeof FailureCode)[keyof typeof FailureCode];

export const failureCodes: readonly FailureCode[] = Object.values(FailureCode);

/** What the application's `failed` function is given. It holds no text of the provider or the user. */
export interface Failure {
  readonly code: FailureCode;
}
