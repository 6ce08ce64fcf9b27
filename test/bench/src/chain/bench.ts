import { atMost, told, type Metric } from "../result.ts";
import { timeAsync, timeSync } from "../samples.ts";
import { byHand } from "./by-hand.ts";
import { executor, fullGuard, job } from "./full-guard.ts";

const request = { subject: "user-1", attributes: job.metadata, run: "bench" };

/** The chain's own cost with every gate on: asking them all, and giving back what they took. */
export async function benchChain(): Promise<readonly Metric[]> {
  const guard = fullGuard({ FEATURE_BENCH: "true", BENCH_ROLLOUT_PERCENT: "100" });
  let awaits = 0;
  const chain = await timeSync({
    nothing: () => undefined,
    decide: () => {
      const decision = guard.decide(job, request);
      if (decision instanceof Promise) awaits += 1;
      else guard.giveUp(decision);
    },
  });

  process.env["BENCH_KILL"] = "true";
  const { killed } = await timeSync({ killed: () => void guard.decide(job, request) });
  delete process.env["BENCH_KILL"];

  process.env["BENCH_ROLLOUT_PERCENT"] = "99";
  const { bucketed } = await timeSync({
    bucketed: () => {
      const decision = guard.decide(job, request);
      if (!(decision instanceof Promise)) guard.giveUp(decision);
    },
  });
  process.env["BENCH_ROLLOUT_PERCENT"] = "100";

  const handMade = byHand();
  const whole = await timeAsync({
    direct: executor,
    guarded: () => guard.run(job, request),
    byHand: () => handMade(job),
  });
  guard.close();
  return [
    atMost("chain p50 over nothing", over(chain.decide.p50, chain.nothing.p50), "µs", 3),
    atMost("chain p99 over nothing", over(chain.decide.p99, chain.nothing.p99), "µs", 15),
    atMost("promises made by the chain", awaits, "", 0),
    told("chain p50 with a bucket to hash", over(bucketed.p50, chain.nothing.p50), "µs"),
    told("killed: chain p50", over(killed.p50, chain.nothing.p50), "µs"),
    told("guard.run p50 over the bare executor", over(whole.guarded.p50, whole.direct.p50), "µs"),
    told("guard.run p99 over the bare executor", over(whole.guarded.p99, whole.direct.p99), "µs"),
    told(
      "flag + rate-limiter-flexible + opossum p50 over the bare executor",
      over(whole.byHand.p50, whole.direct.p50),
      "µs",
    ),
    told("guard.run p50 / by hand p50", whole.guarded.p50 / whole.byHand.p50, "×"),
  ];
}

function over(guarded: number, base: number): number {
  return Math.max(0, guarded - base);
}
