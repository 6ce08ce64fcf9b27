import { FailureCode } from "@sluice/contract";
import { failureOfStatus } from "@sluice/policy";

/** Codes and types of error bodies that say more than the status they come with. */
const told: ReadonlyMap<unknown, FailureCode> = new Map([
  ["insufficient_quota", FailureCode.PROVIDER_QUOTA],
  ["billing_hard_limit_reached", FailureCode.PROVIDER_QUOTA],
  ["content_filter", FailureCode.CONTENT_FILTERED],
  ["content_policy_violation", FailureCode.CONTENT_FILTERED],
]);

/**
 * The failure of an error body. Hosts put what tells it apart in `code` or in `type`.
 * Source: https://platform.openai.com/docs/guides/error-codes
 */
export function failureOfError(
  status: number,
  error: { readonly code?: unknown; readonly type?: unknown },
): FailureCode {
  return told.get(error.code) ?? told.get(error.type) ?? failureOfStatus(status);
}
