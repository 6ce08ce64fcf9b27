import { byFetch, byGuard, byOpenai, type ReadAnswer } from "./read-answer.ts";
import { cpuMs } from "./cpu-ms.ts";
import type { ChunkFigures, ReaderFigures, ReaderName } from "./chunk-figures.ts";
import { monotonicMs } from "./monotonic-ms.ts";
import { percentiles } from "./percentiles.ts";
import type { Pace } from "./pace.ts";
import { age } from "./stamp.ts";

/** Reads the same streams bare and guarded, in turn, in one process of its own. */
const baseUrl = `http://127.0.0.1:${process.argv[2]}/v1`;
const paced: Pace = { chunks: 60, gapMs: 2 };
const short: Pace = { chunks: 2, gapMs: 0 };
const rushed: Pace = { chunks: 200, gapMs: 0 };

/** Streams of each reader in one round; who goes first changes from round to round. */
const perRound = { paced: 1, short: 20, rushed: 20 };
const rounds = 48;
const warmUpRounds = 4;

const readers: Readonly<Record<ReaderName, ReadAnswer>> = {
  openai: byOpenai(baseUrl),
  fetch: byFetch(baseUrl),
  guard: byGuard(baseUrl),
};
const names = Object.keys(readers) as ReaderName[];

interface Taken {
  firstPaced: number[];
  firstShort: number[];
  delays: number[];
  cpuPaced: number;
  cpuRushed: number;
  /** Chunks that came merged, late or not at all, or more of them than were sent. */
  amiss: number;
}

const fresh = (): Taken => ({
  firstPaced: [],
  firstShort: [],
  delays: [],
  cpuPaced: 0,
  cpuRushed: 0,
  amiss: 0,
});

async function readOne(name: ReaderName, pace: Pace, taken: Taken): Promise<number> {
  const startedMs = monotonicMs();
  let firstMs = 0;
  let whole = 0;
  await readers[name](pace, (text) => {
    if (firstMs === 0) firstMs = monotonicMs() - startedMs;
    const delay = age(text);
    if (delay === undefined) return;
    whole += 1;
    if (pace.gapMs > 0) taken.delays.push(delay);
  });
  taken.amiss += Math.abs(pace.chunks - whole);
  return firstMs;
}

async function round(name: ReaderName, taken: Taken): Promise<void> {
  for (let i = 0; i < perRound.short; i += 1) {
    taken.firstShort.push(await readOne(name, short, taken));
  }
  let before = cpuMs();
  for (let i = 0; i < perRound.paced; i += 1) {
    taken.firstPaced.push(await readOne(name, paced, taken));
  }
  taken.cpuPaced += cpuMs() - before;
  before = cpuMs();
  for (let i = 0; i < perRound.rushed; i += 1) await readOne(name, rushed, taken);
  taken.cpuRushed += cpuMs() - before;
}

function toFigures(taken: Taken): ReaderFigures {
  return {
    firstMs: percentiles(taken.firstShort),
    firstPacedMs: percentiles(taken.firstPaced),
    delayMs: percentiles(taken.delays),
    cpuPacedMs: taken.cpuPaced / (rounds * perRound.paced),
    cpuRushedMs: taken.cpuRushed / (rounds * perRound.rushed),
    amiss: taken.amiss,
  };
}

const taken = { openai: fresh(), fetch: fresh(), guard: fresh() };
for (let i = -warmUpRounds; i < rounds; i += 1) {
  const order = names.map((_, place) => names[(place + i + warmUpRounds) % names.length]);
  for (const name of order) {
    if (name !== undefined) await round(name, i < 0 ? fresh() : taken[name]);
  }
}
const figures: ChunkFigures = {
  chunksSent:
    (perRound.paced * paced.chunks +
      perRound.short * short.chunks +
      perRound.rushed * rushed.chunks) *
    rounds,
  openai: toFigures(taken.openai),
  fetch: toFigures(taken.fetch),
  guard: toFigures(taken.guard),
};
process.send?.(figures, () => process.exit());
if (process.send === undefined) {
  console.log(figures);
  process.exit();
}
