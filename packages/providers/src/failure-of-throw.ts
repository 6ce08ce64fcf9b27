import { FailureCode, failureCodes, type ProviderFailure } from "@sluice/contract";
import { failureOfStatus } from "@sluice/policy";
import { ProviderError } from "./provider-error.ts";

/** What a guarded function threw, without its text. */
export function failureOfThrow(error: unknown): ProviderFailure {
  return { ok: false, code: codeOf(error), dispatched: true };
}

function codeOf(error: unknown): FailureCode {
  if (ProviderError.isInstance(error) && isFailureCode(error.failure)) return error.failure;
  const status = (error as { readonly status?: unknown } | null | undefined)?.status;
  return typeof status === "number" && status >= 400 && status < 600
    ? failureOfStatus(status)
    : FailureCode.PROVIDER_UNAVAILABLE;
}

/** Another copy of the package, or JavaScript, may know other codes. */
export function isFailureCode(code: unknown): code is FailureCode {
  return (failureCodes as readonly unknown[]).includes(code);
}
