import { runChild, startChild } from "../child.ts";
import { atMost, told, type Metric } from "../result.ts";
import type { ChunkFigures } from "./chunk-figures.ts";

const addedMs = 0.1;

/** One stream at a time, bare and guarded in turn. */
export async function benchChunks(): Promise<readonly Metric[]> {
  const upstream = await startChild(new URL("./upstream-process.js", import.meta.url), []);
  const { openai, fetch, guard, chunksSent } = (await runChild(
    new URL("./chunks-process.js", import.meta.url),
    [String(upstream.port)],
    { env: { FEATURE_BENCH: "true" } },
  )) as ChunkFigures;
  upstream.stop();
  return [
    atMost(
      "first content p50 added to the openai client",
      guard.firstMs.p50 - openai.firstMs.p50,
      "ms",
      addedMs,
    ),
    told(
      "first content p99 added to the openai client",
      guard.firstMs.p99 - openai.firstMs.p99,
      "ms",
    ),
    told("first content p50 added to bare fetch", guard.firstMs.p50 - fetch.firstMs.p50, "ms"),
    told("first content p50, openai client", openai.firstMs.p50, "ms"),
    told("first content p50, guarded", guard.firstMs.p50, "ms"),
    atMost(
      "first content p50 added, 2 ms between chunks",
      guard.firstPacedMs.p50 - openai.firstPacedMs.p50,
      "ms",
      addedMs,
    ),
    atMost(
      "delay of a chunk p50 added to the openai client",
      guard.delayMs.p50 - openai.delayMs.p50,
      "ms",
      addedMs,
    ),
    told(
      "delay of a chunk p99 added to the openai client",
      guard.delayMs.p99 - openai.delayMs.p99,
      "ms",
    ),
    told("delay of a chunk p50 added to bare fetch", guard.delayMs.p50 - fetch.delayMs.p50, "ms"),
    told("delay of a chunk p50, guarded", guard.delayMs.p50, "ms"),
    told("chunks sent to each", chunksSent, ""),
    atMost("chunks merged or lost by the guard", guard.amiss, "", 0),
    told(
      "CPU per stream of 60 chunks, guarded / openai client",
      guard.cpuPacedMs / openai.cpuPacedMs,
      "×",
    ),
    told(
      "CPU per stream of 200 chunks at once, guarded / openai client",
      guard.cpuRushedMs / openai.cpuRushedMs,
      "×",
    ),
    told(
      "CPU per stream of 200 chunks at once, guarded / bare fetch",
      guard.cpuRushedMs / fetch.cpuRushedMs,
      "×",
    ),
  ];
}
