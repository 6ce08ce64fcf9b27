// #region
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { countResponses, guardRoute } from "@sluice/express";
import { createGuard, systemClock } from "@sluice/guard";
import { metricWindows } from "@sluice/sql";
// #endregion
import type { Server } from "node:http";
import { defineContract, staticFlags } from "@sluice/guard";
import { functionProvider } from "@sluice/providers";
import type { SqlDatabase } from "@sluice/sql";
import type { Express, Request, RequestHandler } from "express";
import { z } from "zod";

export const page = "docs/how-to/metrics-in-sql.md";

export interface Wiring {
  readonly db: Pick<SqlDatabase, "query">;
  readonly app: Express;
  readonly authenticate: RequestHandler;
  readonly subject: (req: Request) => string;
  readonly port: number;
}

const answer = z.object({ status: z.literal("OK"), reply: z.string() });
const input = z.object({ text: z.string() });

export function wire(wiring: Wiring): Server {
  const { db, app, authenticate, subject, port } = wiring;
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
  const windows = metricWindows(db, {
    clock: systemClock,
    random: Math.random,
    instanceId: randomUUID(),
  });
  const guard = createGuard({ ...options, metrics: windows.sink });
  app.use("/api/faq", countResponses(guard), authenticate);
  app.post("/api/faq", guardRoute(guard, { subject, input }));
  const server = app.listen(port);

  async function stop(): Promise<void> {
    server.close();
    await once(server, "close"); // the answers under way are sent
    guard.close(); // hands the last samples out
    await windows.close();
    process.exit();
  }
  process.once("SIGTERM", () => void stop());
  // #endregion
  return server;
}
