// #region
import { probeRoute } from "@sluice/express";
// #endregion
import type { Guard } from "@sluice/guard";
import type { Express } from "express";

export function mountProbe(
  app: Express,
  guard: Guard<{ readonly text: string }, unknown, unknown, unknown>,
  probeToken: string,
): void {
  // #region +
  app.post(
    "/sluice/probe",
    probeRoute(guard, {
      token: probeToken, // at least 16 characters
      sample: () => ({ input: { text: "What are your opening hours?" } }),
    }),
  );
  // #endregion
}
