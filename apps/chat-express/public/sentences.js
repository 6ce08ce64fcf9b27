const busy = "The service is very busy at the moment.";
const causes = {
  USER_IN_FLIGHT: "Your other answers are still being written.",
  GLOBAL_IN_FLIGHT: busy,
  MESSAGE_RATE: "Too many messages in a short time.",
  STORE_UNAVAILABLE: "The limits can't be counted at the moment.",
};

/** Why nobody answers, and when to try again, for people; from problem details and their `Retry-After`. */
export function refusalOf({ reason, status }, retryAfter) {
  const cause = causes[reason] ?? (status === 503 ? "The app is about to stop." : busy);
  const seconds = Number(retryAfter);
  if (retryAfter === null || !Number.isFinite(seconds)) return cause;
  return `${cause} Please try again in ${seconds} ${seconds === 1 ? "second" : "seconds"}.`;
}
