/** What `pg` and its pool say, without a code, when one of their own timers has run out. */
const timeouts: ReadonlySet<string> = new Set([
  "timeout expired",
  "timeout exceeded when trying to connect",
  "Connection terminated due to connection timeout",
  "Query read timeout",
]);

/** The same error; with the system's code for a timeout where it tells of one and has no code. */
export function withTimeoutCode(error: unknown): unknown {
  const isTimeout = error instanceof Error && timeouts.has(error.message) && !("code" in error);
  return isTimeout ? Object.assign(error, { code: "ETIMEDOUT" }) : error;
}
