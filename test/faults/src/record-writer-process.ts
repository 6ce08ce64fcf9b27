// Writes 500 records a second until SIGTERM. Prints `sent <n>` as rows come, `safe <n>` when the first n
// are acknowledged, the writer's reports, and at the end `last <n>` and `dropped <n>`.
import type { OutcomeEvent } from "@sluice/contract";
import { systemClock } from "@sluice/guard";
import { postgres, recordWriter } from "@sluice/sql";

const [connectionString = "", run = ""] = process.argv.slice(2);
const perSecond = 500;
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const db = postgres({ connectionString, connectTimeoutMs: 5000 });
const writer = recordWriter(db, {
  clock: systemClock,
  random: Math.random,
  onProblem: ({ state, code }) => say(`report ${state} ${code ?? "-"}`),
});

function outcome(id: string): OutcomeEvent {
  return {
    v: 4,
    at_ms: Date.now(),
    feature: "demo",
    event: "outcome",
    decision_id: id,
    outcome: "SUCCEEDED",
    path: "ai",
    request_id: id,
    fallback_used: false,
    latency_ms: 12,
    attempts: [],
    skipped: [],
    tools: [],
    measures: {},
  };
}

let sent = 0;
let isEnding = false;
const startedMs = performance.now();
const sending = setInterval(() => {
  const due = ((performance.now() - startedMs) / 1000) * perSecond;
  for (; sent < due; sent += 1) {
    if (sent % 5 === 0) say(`sent ${sent}`);
    writer.sink(outcome(`${run}-${sent}`));
  }
}, 10);

async function acknowledge(): Promise<void> {
  const upTo = sent;
  await writer.flush();
  if (isEnding) return;
  say(`safe ${upTo}`);
  setTimeout(() => void acknowledge(), 5);
}

async function end(): Promise<void> {
  isEnding = true;
  clearInterval(sending);
  say(`last ${sent}`);
  await writer.close();
  say(`dropped ${writer.dropped()}`);
  await db.close();
}

process.once("SIGTERM", () => void end());
void acknowledge();
