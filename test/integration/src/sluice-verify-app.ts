import type { AddressInfo } from "node:net";
import type { FeatureFlags, FlagSource } from "@sluice/contract";
import { probeRoute } from "@sluice/express";
import { createGuard, defineContract, systemClock } from "@sluice/guard";
import { functionProvider } from "@sluice/providers";
import { postgres, sqlFlags } from "@sluice/sql";
import express from "express";
import { z } from "zod";

/** What an application may have wrong, each for one step to find. */
const faults: Readonly<Record<string, (flags: FeatureFlags) => FeatureFlags>> = {
  "another salt": (flags) => ({ ...flags, salt: "another" }),
  "another salt below 40": (flags) => (flags.percent < 40 ? { ...flags, salt: "another" } : flags),
  "deaf to kills": (flags) => ({ ...flags, enabled: true, percent: flags.percent || 40 }),
};

/** An application with one guarded feature, as a process of its own. */
const { DATABASE_URL = "", TOKEN = "", FAULT = "", SAMPLE = "yes" } = process.env;

const db = postgres({ connectionString: DATABASE_URL });
const table = sqlFlags(db, {
  clock: systemClock,
  random: Math.random,
  exclusive: true,
  names: { prefix: "p3_" },
});
await table.ready();

/** Hands out one object for as long as the table's stays the same, as a source has to. */
function withFault(fault: string): FlagSource {
  const change = faults[fault];
  if (change === undefined) return table;
  let read: FeatureFlags | undefined;
  let changed: FeatureFlags | undefined;
  return {
    ...table,
    read(feature) {
      const flags = table.read(feature);
      if (flags !== read || changed === undefined) changed = change(flags);
      read = flags;
      return changed;
    },
  };
}

const guardOn = (flags: FlagSource) =>
  createGuard({
    feature: "p3_advisory",
    contract: defineContract({
      ok: z.object({ status: z.literal("OK") }),
      failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
      stub: z.object({ status: z.literal("STUB") }),
    }),
    failed: ({ code }) => ({ status: "FAILED", code }),
    stub: () => ({ status: "STUB" }),
    provider: functionProvider<{ readonly id: string }>(() => Promise.resolve({ status: "OK" })),
    flags,
    onFailure: "failed",
    sinks: [() => undefined],
    openTelemetry: false,
  });

const guard = guardOn(withFault(FAULT));
const runner = FAULT === "runs are deaf to kills" ? guardOn(withFault("deaf to kills")) : guard;

let samples = 0;
const sample = (subject: string) => {
  samples += 1;
  // Seldom, so that the reader of flags gets its turn of the connections.
  if (FAULT === "writes elsewhere" && samples % 50 === 0) {
    void db.query("INSERT INTO orders (id) VALUES (1)");
  }
  return { input: { id: subject } };
};

const app = express();
app.post(
  "/sluice/probe",
  probeRoute(
    { ...guard, run: (input, request) => runner.run(input, request) },
    {
      token: TOKEN,
      instanceId: "app-1",
      ...(SAMPLE === "yes" && { sample }),
    },
  ),
);
const server = app.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`listening on ${String(port)}\n`);
});
