import { FailureCode, type ProviderHealth } from "@sluice/contract";

/** What a failure says about the provider, what may be tried after it, and how HTTP shows it. */
interface FailureRow {
  /** What a circuit breaker learns: the caller's own mistakes and limits are neutral. */
  readonly health: ProviderHealth;
  /** The same candidate may be asked again: the next answer may be another. */
  readonly retry: boolean;
  /** Another candidate may stand in. A model's own word (a refusal, a wrong answer) is not shopped around. */
  readonly failover: boolean;
  /** How long the candidate is left alone when the upstream names no time itself; 0 is not at all. */
  readonly coolDownMs: number;
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
): FailureRow => ({
  health,
  retry: false,
  failover: false,
  coolDownMs: 0,
  httpStatus: 502,
  schemaFailure: false,
  error: true,
  ...more,
});

/** The upstream, or the way to it, failed: the same call may succeed here or elsewhere. */
const transient = { retry: true, failover: true } as const;

export const failureTable: Readonly<Record<FailureCode, FailureRow>> = {
  PROVIDER_TIMEOUT: row("failure", { ...transient, httpStatus: 504 }),
  PROVIDER_RATE_LIMITED: row("neutral", { ...transient, coolDownMs: 1000 }),
  PROVIDER_QUOTA: row("neutral", { failover: true, coolDownMs: 60_000 }),
  PROVIDER_AUTH: row("neutral", { failover: true, coolDownMs: 10_000 }),
  PROVIDER_UNAVAILABLE: row("failure", transient),
  PROVIDER_BAD_REQUEST: row("neutral", { failover: true }),
  REFUSED: row("success"),
  CONTENT_FILTERED: row("success"),
  STREAM_CUT: row("failure", transient),
  STREAM_STALLED: row("failure", { ...transient, httpStatus: 504 }),
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
  // A conflict and a request that came too early pass, as OpenAI's own clients have it.
  if (status === 409 || status === 425 || status >= 500) return FailureCode.PROVIDER_UNAVAILABLE;
  return FailureCode.PROVIDER_BAD_REQUEST;
}
