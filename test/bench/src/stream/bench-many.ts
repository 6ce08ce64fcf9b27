import { runChild } from "../child.ts";
import { atMost, told, type Metric } from "../result.ts";
import { driftPercent } from "./drift.ts";
import type { ManyFigures } from "./many-figures.ts";

const concurrent = 10_000;
/** Of a mean over a plateau of streams of every age, so that nothing but a leak has it rise. */
const maxDriftPercent = 5;

/** Very many streams over a provider in the process. */
export async function benchMany(): Promise<readonly Metric[]> {
  const figures = (await runChild(
    new URL("./many-process.js", import.meta.url),
    [String(concurrent)],
    { env: { FEATURE_BENCH: "true" }, execArgv: ["--expose-gc"] },
  )) as ManyFigures;
  const { bytesPerStream, latenessMs } = figures;
  const mean = bytesPerStream.reduce((sum, { value }) => sum + value, 0) / bytesPerStream.length;
  const n = `${concurrent} in process`;
  return [
    told(`${n}: streams in all`, figures.begun, ""),
    atMost(`${n}: without all chunks and one terminal event`, figures.unfinished, "", 0),
    told(`${n}: memory per stream`, mean / 1024, "KiB"),
    told(`${n}: of it the bare generator and its reader`, figures.bareBytesPerStream / 1024, "KiB"),
    atMost(
      `${n}: drift of memory per stream over the plateau`,
      driftPercent(bytesPerStream),
      "%",
      maxDriftPercent,
    ),
    told(`${n}: event loop late p50`, latenessMs.p50, "ms"),
    told(`${n}: event loop late p99`, latenessMs.p99, "ms"),
    told(`${n}: event loop late at most`, latenessMs.max, "ms"),
    told(`${n}: CPU of one core, guarded`, figures.cores * 100, "%"),
    told(`${n}: CPU of one core, bare`, figures.bareCores * 100, "%"),
    atMost(`${n}: decisions held at the end`, figures.inFlightAtEnd, "", 0),
    told(`${n}: memory left per stream at the end`, figures.bytesLeftPerStream / 1024, "KiB"),
  ];
}
