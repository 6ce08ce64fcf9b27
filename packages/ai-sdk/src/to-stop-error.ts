import { FailureCode } from "@sluice/contract";
import { SluiceFailedError } from "./sluice-failed-error.ts";

/** What a call that the guard stopped is told; who aborted it is told their own reason, as without a guard. */
export function toStopError(failed: FailureCode, client: AbortSignal | undefined): unknown {
  return failed === FailureCode.CLIENT_ABORTED && client?.aborted === true
    ? client.reason
    : new SluiceFailedError(failed);
}
