import { guardRoute } from "@sluice/express";
import { createGuard, defineContract, staticFlags, systemClock } from "@sluice/guard";
import { functionProvider } from "@sluice/providers";
import { recordWriter, type SqlDatabase } from "@sluice/sql";
import type { Express, Request } from "express";
import { z } from "zod";

export const page = "docs/how-to/records-in-sql.md";

export interface Wiring {
  readonly db: Pick<SqlDatabase, "query">;
  readonly app: Express;
  readonly subject: (req: Request) => string;
  readonly console: { readonly warn: (line: string) => void };
}

const answer = z.object({ status: z.literal("OK"), reply: z.string() });
const input = z.object({ text: z.string() });

export function wire(wiring: Wiring): void {
  const { db, app, subject, console } = wiring;
  const options = {
    feature: "faq_ai",
    contract: defineContract({
      ok: answer,
      failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
    }),
    failed: ({ code }: { readonly code: string }) => ({ status: "FAILED" as const, code }),
    stub: () => ({ status: "OK" as const, reply: "A person will answer you today." }),
    provider: functionProvider(({ text }: z.infer<typeof input>) => ({
      status: "OK",
      reply: text,
    })),
    flags: staticFlags({ faq_ai: { enabled: true } }),
    onFailure: "stub" as const,
  };
  // #region
  const records = recordWriter(db, {
    clock: systemClock,
    random: Math.random,
    onProblem: ({ state, code, pending, dropped }) =>
      console.warn(`records: ${state} ${code ?? ""}, ${pending} wait, ${dropped} lost`),
  });
  const guard = createGuard({ ...options, sinks: [records.sink] });
  app.post("/api/faq", guardRoute(guard, { subject, input }));
  process.once("SIGTERM", () => void records.close());
  // #endregion
}
