import { Reason } from "@sluice/contract";

const shared = "The service is very busy at the moment.";
export const takesNobody = "The service can't take requests at the moment.";
const spent = "The limit for today is reached.";

const causes: ReadonlyMap<Reason, string> = new Map([
  [Reason.USER_IN_FLIGHT, "Another answer is still being written for you."],
  [Reason.GLOBAL_IN_FLIGHT, shared],
  [Reason.MESSAGE_RATE, "Too many messages."],
  [Reason.BUDGET_CALLS, spent],
  [Reason.BUDGET_TOKENS, spent],
  [Reason.BUDGET_COST, spent],
  [Reason.STORE_UNAVAILABLE, takesNobody],
]);

/**
 * A rejection as a person understands it.
 * @param retryAfter the header of that name, whole seconds
 */
export function rejectionSentence(reason: Reason, retryAfter: string | undefined): string {
  return `${causes.get(reason) ?? shared}${tryAgain(retryAfter)}`;
}

/** ` Try again in 3 seconds.`; nothing where the header is not there. */
export function tryAgain(retryAfter: string | undefined): string {
  const seconds = retryAfter === undefined ? Number.NaN : Number(retryAfter);
  return Number.isFinite(seconds) && seconds >= 0 ? ` Try again in ${duration(seconds)}.` : "";
}

/** Rounded up, so that it is never early. */
function duration(seconds: number): string {
  if (seconds < 120) return plural(Math.max(1, Math.ceil(seconds)), "second");
  return seconds < 7200
    ? plural(Math.ceil(seconds / 60), "minute")
    : plural(Math.ceil(seconds / 3600), "hour");
}

const plural = (count: number, unit: string): string => `${count} ${unit}${count === 1 ? "" : "s"}`;
