import { fork, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { migrate, postgres } from "@sluice/sql";
import { z } from "zod";
import { atMost, told, type Metric } from "../result.ts";
import { percentiles } from "../stream/percentiles.ts";
import { momentMs } from "./moment-ms.ts";
import { startOperator } from "./operator.ts";

const processes = 8;
const kills = { notify: 200, poll: 25 } as const;
type Mode = keyof typeof kills;

const turnSchema = z.object({
  open: z.boolean(),
  atMs: z.number(),
  served: z.int(),
  errors: z.int(),
});
type Turn = z.output<typeof turnSchema>;

const where = "WHERE feature_name = 'p3_advisory'";
const shut = `UPDATE p3_feature_state SET enabled = false, rollout_percent = 0 ${where}`;
const open = `UPDATE p3_feature_state SET enabled = true, rollout_percent = 100 ${where}`;

/**
 * From the moment that psql is given the UPDATE to the first refused call of the last of eight processes
 * that serve load: it counts psql, the commit and the way there, so it is more than from the commit on.
 */
export async function benchKill(): Promise<readonly Metric[]> {
  const server = new URL(
    process.env["BENCH_DATABASE_URL"] ?? "postgresql://postgres@127.0.0.1:5432/postgres",
  );
  const name = `sluice_bench_${randomBytes(6).toString("hex")}`;
  const admin = postgres({ connectionString: server.href });
  await admin.query(`CREATE DATABASE ${name}`);
  const own = new URL(server);
  own.pathname = `/${name}`;
  try {
    const db = postgres({ connectionString: own.href });
    await migrate(db, { names: { prefix: "p3_" } });
    await db.query("INSERT INTO p3_feature_state (feature_name) VALUES ($1)", ["p3_advisory"]);
    await db.close();
    return [
      ...(await measure(own.href, "notify")),
      ...(await measure(own.href, "poll")),
      told("processes", processes, ""),
    ];
  } finally {
    await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
    await admin.close();
  }
}

async function measure(url: string, mode: Mode): Promise<readonly Metric[]> {
  const operator = startOperator(url);
  await operator.run(shut);
  const fleet = startFleet(url, mode);
  const taken: number[] = [];
  let last: readonly Turn[] = [];
  try {
    await fleet.all(false);
    for (let kill = 0; kill < kills[mode]; kill += 1) {
      const opened = fleet.all(true);
      await operator.run(open);
      await opened;
      // Not in step with anybody's poll.
      await setTimeout(50 + Math.random() * (mode === "poll" ? 1000 : 50));
      const refused = fleet.all(false);
      const givenMs = momentMs();
      await operator.run(shut);
      last = await refused;
      taken.push(Math.max(...last.map(({ atMs }) => atMs)) - givenMs);
    }
  } finally {
    fleet.stop();
    operator.close();
  }
  const { p50, p99, max } = percentiles(taken);
  const how = mode === "notify" ? "by NOTIFY" : "by polling alone";
  const bound = mode === "notify" ? 100 : 2000;
  return [
    told(`${how}: p50`, p50, "ms"),
    atMost(`${how}: p99`, p99, "ms", bound),
    told(`${how}: at most`, max, "ms"),
    told(`${how}: kills`, taken.length, ""),
    told(`${how}: calls served`, sum(last, "served"), ""),
    atMost(`${how}: failed calls`, sum(last, "errors"), "", 0),
  ];
}

const sum = (turns: readonly Turn[], of: "served" | "errors"): number =>
  turns.reduce((total, turn) => total + turn[of], 0);

function startFleet(url: string, mode: Mode) {
  const module = fileURLToPath(new URL("./member-process.js", import.meta.url));
  const members = Array.from({ length: processes }, () => fork(module, [url, mode]));
  return {
    /** Resolves with each member's next turn to this state. */
    all: (state: boolean) => Promise.all(members.map((member) => nextTurn(member, state))),
    stop: () => members.forEach((member) => member.kill()),
  };
}

function nextTurn(member: ChildProcess, state: boolean): Promise<Turn> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void => {
      member.off("message", onMessage);
      reject(new Error(`bench: a process of the fleet ended with ${code}`));
    };
    const onMessage = (message: unknown): void => {
      const turn = turnSchema.parse(message);
      if (turn.open !== state) return;
      member.off("exit", onExit);
      member.off("message", onMessage);
      resolve(turn);
    };
    member.on("message", onMessage);
    member.once("exit", onExit);
  });
}
