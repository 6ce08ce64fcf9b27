// The page's program, whole: run-a-fleet.test.ts starts it.
/* oxlint-disable eslint/no-console -- an application's own */
// #region
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { guardRoute } from "@sluice/express";
import { createGuard, defineContract, systemClock } from "@sluice/guard";
import { openaiProvider } from "@sluice/providers";
import { connectRedis, redisAdmission } from "@sluice/redis";
import { metricWindows, postgres, recordWriter, sqlFlags, sqlInstance } from "@sluice/sql";
import express from "express";
import { z } from "zod";

const text = z.string().min(1);
const settings = z.object({ DATABASE_URL: text, REDIS_URL: text, ADMISSION_SECRET: text });
const env = settings.extend({ PORT: z.coerce.number() }).parse(process.env);
const tell =
  (what: string) =>
  ({ state, code }: { state: string; code?: string | undefined }) =>
    console.warn(`${what}: ${state} ${code ?? ""}`);

// One id for this process, wherever one is asked for.
const instanceId = randomUUID();
const own = { clock: systemClock, random: Math.random };
const db = postgres({ connectionString: env.DATABASE_URL });
const flags = sqlFlags(db, { ...own, variables: process.env });
const instance = sqlInstance(db, { clock: systemClock, instanceId, flags });
const records = recordWriter(db, { ...own, onProblem: tell("records") });
const windows = metricWindows(db, { ...own, instanceId, onProblem: tell("metrics") });
const client = connectRedis({ url: env.REDIS_URL, random: Math.random });
const admission = redisAdmission({
  ...own,
  client,
  instanceId,
  namespace: "faq",
  secret: env.ADMISSION_SECRET,
  userInFlight: { limit: 2 },
  globalBudget: { costNanoUsd: 50_000_000_000 }, // fifty dollars a day
  onLoss: "local",
  onState: (state) => tell("Redis")({ state }),
});

const input = z.object({ text: z.string().min(1).max(4000) });
const guard = createGuard({
  feature: "faq_ai",
  contract: defineContract({
    ok: z.object({ status: z.literal("OK"), reply: z.string() }),
    failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
  }),
  failed: ({ code }) => ({ status: "FAILED", code }),
  stub: () => ({ status: "OK", reply: "A person will answer you today." }),
  provider: openaiProvider({ model: "gpt-4o-mini", prompt: (q: { text: string }) => q.text }),
  onFailure: "stub",
  flags,
  admission,
  budget: { maxOutputTokens: 800 },
  prices: { "gpt-4o-mini": { inputNanoUsdPerToken: 150, outputNanoUsdPerToken: 600 } },
  sinks: [records.sink],
  metrics: windows.sink,
});

const app = express();
// In a real app the subject comes from your sign-in.
app.post("/api/faq", guardRoute(guard, { subject: (req) => req.ip ?? "", input }));
await flags.ready();
const server = app.listen(env.PORT, () => console.log("listening"));
// #endregion
// #region
async function stop(): Promise<void> {
  server.close();
  setInterval(() => server.closeIdleConnections(), 100).unref(); // kept ones, once answered
  setTimeout(() => server.closeAllConnections(), 10_000).unref();
  await once(server, "close"); // the answers under way are sent
  guard.close(); // hands the last events and samples out
  await Promise.all([records.close(), windows.close(), instance.close()]);
  flags.close();
  admission.close();
  client.disconnect();
  await db.close();
}
process.once("SIGTERM", () => void stop());
// #endregion
