import { setTimeout } from "node:timers/promises";
import { startChild, type Child } from "../child.ts";
import { atMost, told, type Metric } from "../result.ts";
import type { AppFigures } from "./app-figures.ts";
import { driftPercent, type Sample } from "./drift.ts";
import { monotonicMs } from "./monotonic-ms.ts";
import { lengthMs, type Pace } from "./pace.ts";
import { percentiles } from "./percentiles.ts";
import { startClients } from "./slow-clients.ts";

const slow: Pace = { chunks: 20, gapMs: 1000 };
const many = 5000;
/** After the last has begun, for those that wait in the application's queues. */
const settleMs = 8000;
const samplesTaken = 8;
const sampleEveryMs = 2000;
const maxDriftPercent = 5;
const pollMs = 50;

/** Bare and guarded beside each other, at the same time. */
const brisk: Pace = { chunks: 20, gapMs: 500 };
const fewer = 1500;

/** Very many slow streams with a socket on either side of the application. */
export async function benchSockets(): Promise<readonly Metric[]> {
  const upstream = await startChild(new URL("./upstream-process.js", import.meta.url), []);
  const start = (kind: "bare" | "guarded"): Promise<Child> =>
    startChild(new URL("./app-process.js", import.meta.url), [kind, String(upstream.port)], {
      env: { FEATURE_BENCH: "true" },
      execArgv: ["--expose-gc"],
    });

  const app = await start("guarded");
  const base = await warmUp(app);
  const clients = startClients(app.port, { count: many, pace: slow, rampMs: lengthMs(slow) });
  await clients.filled(many);
  await setTimeout(settleMs);
  const held: Sample[] = [];
  const resident: Sample[] = [];
  for (let i = 0; i < samplesTaken; i += 1) {
    const { heldBytes, residentBytes, inFlight } = await ask(app);
    const atMs = monotonicMs();
    held.push({ atMs, value: (heldBytes - base.heldBytes) / inFlight });
    resident.push({ atMs, value: (residentBytes - base.residentBytes) / inFlight });
    await setTimeout(sampleEveryMs);
  }
  await clients.drain();
  const end = await ask(app);
  app.stop();

  const apps = { bare: await start("bare"), guarded: await start("guarded") };
  const [bare, guarded] = await Promise.all([compare(apps.bare), compare(apps.guarded)]);
  for (const child of [apps.bare, apps.guarded, upstream]) child.stop();

  const n = `${many} through sockets`;
  const delayMs = percentiles(clients.delays);
  return [
    told(`${n}: streams in all`, clients.begun, ""),
    atMost(`${n}: without one terminal event`, clients.ended.cut, "", 0),
    atMost(`${n}: failed, or merged or lost chunks`, clients.ended.failed, "", 0),
    told(`${n}: memory per stream`, mean(held) / 1024, "KiB"),
    atMost(
      `${n}: drift of memory per stream over the plateau`,
      driftPercent(held),
      "%",
      maxDriftPercent,
    ),
    told(`${n}: resident memory per stream`, mean(resident) / 1024, "KiB"),
    told(`${n}: chunk from upstream to client p50`, delayMs.p50, "ms"),
    told(`${n}: chunk from upstream to client p99`, delayMs.p99, "ms"),
    atMost(`${n}: decisions held at the end`, end.inFlight, "", 0),
    atMost(
      `${fewer} beside as many bare: without all chunks and one terminal event`,
      bare.unfinished + guarded.unfinished,
      "",
      0,
    ),
    told(
      `${fewer} beside as many bare: memory per stream, guarded`,
      guarded.bytesPerStream / 1024,
      "KiB",
    ),
    told(
      `${fewer} beside as many bare: memory per stream, bare`,
      bare.bytesPerStream / 1024,
      "KiB",
    ),
    told(
      `${fewer} beside as many bare: memory per stream, guarded / bare`,
      guarded.bytesPerStream / bare.bytesPerStream,
      "×",
    ),
    told(
      `${fewer} beside as many bare: CPU per stream, guarded / bare`,
      guarded.cpuMsPerStream / bare.cpuMsPerStream,
      "×",
    ),
  ];
}

async function compare(
  app: Child,
): Promise<{ bytesPerStream: number; cpuMsPerStream: number; unfinished: number }> {
  const base = await warmUp(app);
  const clients = startClients(app.port, { count: fewer, pace: brisk, rampMs: lengthMs(brisk) });
  await clients.filled(fewer);
  const full = await ask(app);
  const bytesPerStream = (full.heldBytes - base.heldBytes) / clients.open;
  await clients.drain();
  const end = await ask(app);
  return {
    bytesPerStream,
    cpuMsPerStream: (end.cpuMs - base.cpuMs) / clients.begun,
    unfinished: clients.begun - clients.ended.whole,
  };
}

/** Short streams first, so that what every stream shares is there when it is measured. */
async function warmUp(app: Child): Promise<AppFigures> {
  const clients = startClients(app.port, {
    count: 50,
    pace: { chunks: 20, gapMs: 1 },
    rampMs: 100,
  });
  while (clients.begun < 2000) await setTimeout(pollMs);
  await clients.drain();
  return ask(app);
}

async function ask(app: Child): Promise<AppFigures> {
  return (await app.ask("figures")) as AppFigures;
}

function mean(samples: readonly Sample[]): number {
  return samples.reduce((sum, { value }) => sum + value, 0) / samples.length;
}
