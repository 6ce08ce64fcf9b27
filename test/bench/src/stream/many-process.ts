import { setTimeout } from "node:timers/promises";
import { functionProvider } from "@sluice/providers";
import { cpuMs } from "./cpu-ms.ts";
import { createCrowd, type Crowd } from "./crowd.ts";
import type { Sample } from "./drift.ts";
import { heldBytes } from "./held-memory.ts";
import type { ManyFigures } from "./many-figures.ts";
import { monotonicMs } from "./monotonic-ms.ts";
import { percentiles } from "./percentiles.ts";
import { attributes, streamGuard, type Question } from "./stream-guard.ts";
import { startTicker } from "./ticker.ts";

/** Many streams at once over a provider in the process, whose memory is theirs: nothing else runs here. */
const concurrent = Number(process.argv[2] ?? 10_000);
const chunks = 20;
const slots = 50;
const tickMs = 10;
/** A stream brings a piece each round of the ticker; so many begin at a tick until all are open. */
const perTick = concurrent / (chunks * slots);
/** The bare ones are no crowd that is watched over time. */
const hurry = 4;
const samplesTaken = 10;
const sampleEveryMs = 2000;

const ticker = startTicker({ slots, tickMs });

async function* answer(slot: number): AsyncGenerator<string> {
  for (let i = 0; i < chunks; i += 1) {
    await ticker.turn(slot);
    yield `piece ${i} of an answer. `;
  }
}

async function* unpaced(): AsyncGenerator<string> {
  for (let i = 0; i < chunks; i += 1) yield await Promise.resolve(`piece ${i} of an answer. `);
}

const guard = streamGuard(
  functionProvider<Question>(({ text }) => (text === "at once" ? unpaced() : answer(Number(text)))),
);

/** Whether the stream ended as it should. */
type Read = (slot: number, id: number) => Promise<boolean>;

/** Nobody counts how these end. */
let bareIsOver = false;

const readBare: Read = async (slot) => {
  let pieces = 0;
  for await (const piece of answer(slot)) {
    if (bareIsOver) break;
    if (piece !== "") pieces += 1;
  }
  return pieces === chunks;
};

const readGuarded: Read = (slot, id) => readText(String(slot), id);

async function readText(text: string, id: number): Promise<boolean> {
  let pieces = 0;
  let terminal = 0;
  for await (const event of guard.stream({ text }, { subject: `user-${id}`, attributes })) {
    if (event.type === "text-delta") pieces += 1;
    if (event.type === "finish") terminal += 1;
  }
  return pieces === chunks && terminal === 1;
}

/** Opens them slot by slot; over the length of one, so that streams of every age are open ever after. */
async function fill(read: Read, atOnce: number, onEnd: (isWhole: boolean) => void): Promise<Crowd> {
  const crowd = createCrowd();
  let asked = 0;
  const stop = ticker.onTick((slot) => {
    for (let i = 0; i < atOnce && asked < concurrent; i += 1) {
      asked += 1;
      crowd.add(async (id) => onEnd(await read(slot, id)));
    }
  });
  await crowd.filled(concurrent);
  stop();
  return crowd;
}

interface Watched {
  readonly latenessMs: readonly number[];
  /** Of one core. */
  readonly share: number;
}

/** What the event loop did in the time between two samples. */
async function watch(): Promise<Watched> {
  // What the collection delayed is over first, and not to be blamed on the streams.
  await setTimeout(sampleEveryMs / 4);
  ticker.takeLateness();
  const [fromCpuMs, fromMs] = [cpuMs(), monotonicMs()];
  await setTimeout((sampleEveryMs * 3) / 4);
  const share = (cpuMs() - fromCpuMs) / (monotonicMs() - fromMs);
  return { latenessMs: ticker.takeLateness(), share };
}

for (let i = 0; i < 2000; i += 1) await readText("at once", i);

const bareBase = heldBytes();
const bare = await fill(readBare, perTick * hurry, () => undefined);
const bareBytesPerStream = (heldBytes() - bareBase) / concurrent;
const bareWatched = await watch();
bareIsOver = true;
await bare.drain();

let unfinished = 0;
const base = heldBytes();
const guarded = await fill(readGuarded, perTick, (isWhole) => {
  if (!isWhole) unfinished += 1;
});
const bytesPerStream: Sample[] = [];
const watched: Watched[] = [];
for (let i = 0; i < samplesTaken; i += 1) {
  bytesPerStream.push({ atMs: monotonicMs(), value: (heldBytes() - base) / concurrent });
  watched.push(await watch());
}
await guarded.drain();
ticker.stop();
// Events are told of after the turn.
await setTimeout(tickMs);
const figures: ManyFigures = {
  concurrent,
  begun: guarded.begun,
  unfinished,
  bytesPerStream,
  bareBytesPerStream,
  latenessMs: percentiles(watched.flatMap(({ latenessMs }) => latenessMs)),
  cores: watched.reduce((sum, { share }) => sum + share, 0) / watched.length,
  bareCores: bareWatched.share,
  inFlightAtEnd: guard.inFlight,
  bytesLeftPerStream: (heldBytes() - base) / concurrent,
};
if (process.send === undefined) console.log(figures);
else process.send(figures);
guard.close();
process.disconnect?.();
