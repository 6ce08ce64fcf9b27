import { registerDrain } from "@sluice/next";
import { parseAppEnv } from "./app-env.ts";

/** Runs once when the server starts, in each of its runtimes. */
export function register(): void {
  registerDrain({ deadlineMs: parseAppEnv(process.env).SHUTDOWN_DEADLINE_MS });
}
