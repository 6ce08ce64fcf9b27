/** `BENCH_GATEWAY_SCALE` makes all rounds fewer, to try the benchmark itself; 1 measures. */
const scale = Number(process.env["BENCH_GATEWAY_SCALE"] ?? 1);

export function scaled(rounds: number): number {
  return Math.max(2, Math.round(rounds * scale));
}
