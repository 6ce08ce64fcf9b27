/* oxlint-disable eslint/no-console -- an application's own */
// #region
import { once } from "node:events";
import { guardRoute } from "@sluice/express";
import { createGuard, systemClock } from "@sluice/guard";
import { recordWriter } from "@sluice/sql";
// #endregion
import type { Server } from "node:http";
import { defineContract, staticFlags } from "@sluice/guard";
import { functionProvider } from "@sluice/providers";
import type { SqlDatabase } from "@sluice/sql";
import type { Express, Request } from "express";
import { z } from "zod";

export const page = "docs/how-to/records-in-sql.md";

export interface Wiring {
  readonly db: Pick<SqlDatabase, "query">;
  readonly app: Express;
  readonly subject: (req: Request) => string;
  readonly port: number;
}

const answer = z.object({ status: z.literal("OK"), reply: z.string() });
const input = z.object({ text: z.string() });

export function wire(wiring: Wiring): {
  readonly server: Server;
  readonly guard: { kill(): void };
} {
  const { db, app, subject, port } = wiring;
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
  // #region +
  const records = recordWriter(db, {
    clock: systemClock,
    random: Math.random,
    onProblem: ({ state, code, pending, dropped }) =>
      console.warn(`records: ${state} ${code ?? ""}, ${pending} wait, ${dropped} lost`),
  });
  const guard = createGuard({ ...options, sinks: [records.sink] });
  app.post("/api/faq", guardRoute(guard, { subject, input }));
  const server = app.listen(port);

  async function stop(): Promise<void> {
    server.close();
    await once(server, "close"); // the answers under way are sent
    guard.close(); // hands the last outcomes out
    await records.close();
    process.exit();
  }
  process.once("SIGTERM", () => void stop());
  // #endregion
  return { server, guard };
}
