import { FailureCode, type ProviderHealth } from "@sluice/contract";

/** What a failure says about the provider, and how HTTP shows it. */
interface FailureRow {
  /** What a circuit breaker learns: the caller's own mistakes and limits are neutral. */
  readonly health: ProviderHealth;
  /** HTTP status under the failure policy `failed`. */
  readonly httpStatus: 502 | 504;
  /** The answer itself was not what the contract asks for. */
  readonly schemaFailure: boolean;
  /** Counts as an error of the AI path in a tripwire. */
  readonly error: boolean;
}

const row = (
  health: ProviderHealth,
  more: Partial<Omit<FailureRow, "health">> = {},
): FailureRow => ({ health, httpStatus: 502, schemaFailure: false, error: true, ...more });

export const failureTable: Readonly<Record<FailureCode, FailureRow>> = {
  PROVIDER_TIMEOUT: row("failure", { httpStatus: 504 }),
  PROVIDER_RATE_LIMITED: row("neutral"),
  PROVIDER_QUOTA: row("neutral"),
  PROVIDER_AUTH: row("neutral"),
  PROVIDER_UNAVAILABLE: row("failure"),
  PROVIDER_BAD_REQUEST: row("neutral"),
  REFUSED: row("success"),
  CONTENT_FILTERED: row("success"),
  STREAM_CUT: row("failure"),
  STREAM_STALLED: row("failure", { httpStatus: 504 }),
  OUTPUT_TRUNCATED: row("success"),
  OUTPUT_NOT_JSON: row("success", { schemaFailure: true }),
  OUTPUT_SCHEMA_INVALID: row("success", { schemaFailure: true }),
  KILLED: row("neutral", { error: false }),
  CLIENT_ABORTED: row("neutral", { error: false }),
  INTERNAL: row("neutral"),
};

/** The failure code of an upstream's HTTP status. Source: RFC 9110, section 15. */
export function failureOfStatus(status: number): FailureCode {
  if (status === 401 || status === 403) return FailureCode.PROVIDER_AUTH;
  // What a spent balance is to hosts that charge ahead: DeepSeek, OpenRouter.
  if (status === 402) return FailureCode.PROVIDER_QUOTA;
  if (status === 408 || status === 504) return FailureCode.PROVIDER_TIMEOUT;
  if (status === 429) return FailureCode.PROVIDER_RATE_LIMITED;
  if (status >= 500) return FailureCode.PROVIDER_UNAVAILABLE;
  return FailureCode.PROVIDER_BAD_REQUEST;
}
