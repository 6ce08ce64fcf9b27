import { errorCode } from "./error-code.ts";

type WatchCode = "TIMEOUT" | "NOT_LISTENING" | "STANDBY" | "CLOSED" | "UNKNOWN";

/** A failure without text of the database's, which may hold data. */
export class WatchError extends Error {
  readonly code: WatchCode;

  constructor(code: WatchCode, message: string) {
    super(message);
    this.name = "WatchError";
    this.code = code;
  }
}

export const isTimeout = (error: unknown): boolean =>
  error instanceof WatchError && error.code === "TIMEOUT";

/** An SQLSTATE, the system's code, or ours; `UNKNOWN` where an error has none. */
export const watchCode = (error: unknown): string => errorCode(error) ?? "UNKNOWN";
