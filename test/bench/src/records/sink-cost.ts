import { systemClock, type SluiceEvent } from "@sluice/guard";
import { recordWriter, type SqlDatabase } from "@sluice/sql";
import { percentiles } from "../stream/percentiles.ts";
import { guardWith } from "./contenders.ts";

const rounds = 101;
const callsPerRound = 1000;

export interface SinkCost {
  /** Of the rounds' means, in nanoseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly records: number;
}

/** What one call of the sink takes of the request's process, while rows are written in between. */
export async function sinkCost(db: SqlDatabase): Promise<SinkCost> {
  const outcome = await anOutcome();
  const records = recordWriter(db, { clock: systemClock, random: Math.random });
  const taken: number[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const started = performance.now();
    for (let call = 0; call < callsPerRound; call += 1) records.sink(outcome);
    if (round > 0) taken.push(((performance.now() - started) / callsPerRound) * 1e6);
    await records.flush();
  }
  await records.close();
  const { p50, p99 } = percentiles(taken);
  return { p50, p99, records: (rounds + 1) * callsPerRound };
}

async function anOutcome(): Promise<SluiceEvent> {
  const { promise, resolve } = Promise.withResolvers<SluiceEvent>();
  const guard = guardWith((event) => {
    if (event.event === "outcome") resolve(event);
  });
  await guard.run("one", { subject: "user-1" });
  const event = await promise;
  guard.close();
  return event;
}
