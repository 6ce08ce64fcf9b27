// #region
// instrumentation.ts
import { registerDrain } from "@sluice/next";

export function register(): void {
  registerDrain({ deadlineMs: 8000 });
}
// #endregion
