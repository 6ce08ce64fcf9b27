// Run as a program: one process of a fleet whose flags are in a table. Serves a call every two
// milliseconds and tells what an operator would see, one line of JSON each; figures over HTTP.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createGuard, systemClock } from "@sluice/guard";
import { functionProvider } from "@sluice/providers";
import { postgres, sqlFlags } from "@sluice/sql";
import { sampleAnswer, sampleFeature, type SampleJob } from "@sluice/testkit";

const [connectionString = "", maxStalenessMs = "5000", pollMs = "1000"] = process.argv.slice(2);
const print = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

const flags = sqlFlags(postgres({ connectionString }), {
  clock: systemClock,
  random: Math.random,
  exclusive: true,
  pollMs: Number(pollMs),
  onState: ({ state, code }) => print({ state, ...(code === undefined ? {} : { code }) }),
});

const figures = { served: 0, ai: 0, unserved: 0, lastAiAtMs: 0, oldestAiMs: 0 };

/** A job that bears this is answered by nobody: it stays in flight. */
const held = "held";

const guard = createGuard({
  ...sampleFeature,
  provider: functionProvider<SampleJob>(({ prompt }, { signal }) => {
    if (prompt === held) return once(signal, "abort");
    const confirmed = flags.confirmedAt()?.monotonicMs ?? Number.NEGATIVE_INFINITY;
    figures.ai += 1;
    figures.lastAiAtMs = Date.now();
    figures.oldestAiMs = Math.max(figures.oldestAiMs, performance.now() - confirmed);
    return Promise.resolve(sampleAnswer);
  }),
  flags,
  maxStalenessMs: Number(maxStalenessMs),
  timeoutMs: 600_000,
  totalTimeoutMs: 600_000,
  sinks: [
    (event) => {
      if (event.event === "alert") print({ alert: event.code });
      return 0;
    },
  ],
});

const wayOf = (outcome: Awaited<ReturnType<typeof guard.run>>): string => {
  if (outcome.status === "SUCCEEDED") return "ai";
  return outcome.status === "FAILED" ? outcome.failure.code : outcome.reason;
};

let path: string | undefined;
let isHolding = false;

async function hold(): Promise<void> {
  isHolding = true;
  const outcome = await guard.run({ prompt: held }, { subject: "eve" });
  isHolding = false;
  print({ aborted: wayOf(outcome) });
}

async function serve(): Promise<void> {
  const outcome = await guard.run({ prompt: "hello" }, { subject: `user-${figures.served}` });
  figures.served += 1;
  if (outcome.status !== "SUCCEEDED" && outcome.status !== "STUBBED") figures.unserved += 1;
  const taken = wayOf(outcome);
  if (taken === "ai" && !isHolding) void hold();
  if (taken === path) return;
  path = taken;
  print({ path });
}

const server = createServer((_, res) => res.end(JSON.stringify(figures)));
server.listen(0, "127.0.0.1", () => {
  print({ port: (server.address() as AddressInfo).port });
  setInterval(() => void serve(), 2);
});
