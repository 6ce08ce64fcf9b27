// Run as a program: an application with its database embedded in the folder of its first argument. Tells
// how a call is answered, whenever that changes.
import { randomBytes } from "node:crypto";
import { createGuard, systemClock } from "@sluice/guard";
import { functionProvider } from "@sluice/providers";
import { migrate, pglite, sqlFlags, sqlInstance } from "@sluice/sql";
import { sampleAnswer, sampleFeature, type SampleJob } from "@sluice/testkit";

const [folder = "", way = "socket"] = process.argv.slice(2);
const db = pglite({
  folder,
  ...(way === "socket" && { socket: { clock: systemClock, randomBytes } }),
});
await migrate(db);
await db.query(
  "INSERT INTO feature_state (feature_name, enabled, rollout_percent) VALUES ($1, true, 100) ON CONFLICT DO NOTHING",
  [sampleFeature.feature],
);
const flags = sqlFlags(db, {
  clock: systemClock,
  random: Math.random,
  exclusive: true,
  // What it applies sooner, it has heard.
  pollMs: 60_000,
});
await flags.ready();
sqlInstance(db, { clock: systemClock, instanceId: "embedded-app", flags });

const guard = createGuard({
  ...sampleFeature,
  provider: functionProvider<SampleJob>(() => Promise.resolve(sampleAnswer)),
  flags,
  // Nothing but the flags closes it.
  maxStalenessMs: 600_000,
  sinks: [() => undefined],
});

let told: string | undefined;
async function call(): Promise<void> {
  const { status } = await guard.run({ prompt: "hello" }, { subject: "user-1" });
  if (status !== told) process.stdout.write(`${status}\n`);
  told = status;
}
setInterval(() => void call(), 5);
