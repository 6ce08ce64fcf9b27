import { applyTimeoutMs, delay } from "./verify-applied.ts";
import { startLoad, type LoadSeen } from "./verify-load.ts";
import { awaitSameCohort } from "./verify-narrowing.ts";
import type { ProbeClient } from "./verify-probe.ts";
import type { BorrowedRow } from "./verify-row.ts";
import { counted, StepFailure, type Step } from "./verify-step.ts";

/** The bare statement shuts the feature under load, and who was in is in again afterwards. */
export async function verifyKill(
  probe: ProbeClient,
  row: BorrowedRow,
  subjects: readonly string[],
  admitted: ReadonlySet<string>,
  canRun: boolean,
): Promise<Step> {
  const load = canRun ? await startLoad(probe, [...admitted]) : undefined;
  let refusedMs: number;
  let seen: LoadSeen | undefined;
  try {
    load?.markKill();
    await row.shut();
    refusedMs = await untilRefused(probe, subjects);
    seen = await load?.stopAfterMore();
  } finally {
    await load?.stop();
    await row.putBack();
  }
  await awaitSameCohort(probe, row, subjects, admitted);
  const fault = seen === undefined ? "" : describeLoad(seen);
  const under =
    seen === undefined
      ? "without load: the app gave no sample"
      : `${counted(seen.runs, "run")} under load (${seen.aiBefore} by AI before the kill), none by AI after the first refusal, none failed`;
  return {
    step: "kill",
    ok: fault === "",
    detail:
      fault ||
      `all ${counted(subjects.length, "subject")} refused ${Math.ceil(refusedMs)} ms after the commit; ${under}; put back, the same ${admitted.size} are in`,
    figures: {
      refusedMs: Math.round(refusedMs * 10) / 10,
      runs: seen?.runs ?? 0,
      aiBefore: seen?.aiBefore ?? 0,
      aiAfter: seen?.aiAfter ?? 0,
      failed: seen?.failed ?? 0,
    },
    sql: row.shutSql,
  };
}

/** Milliseconds until the app refuses everybody, from the commit on. */
async function untilRefused(probe: ProbeClient, subjects: readonly string[]): Promise<number> {
  const committed = performance.now();
  // Few at first: how long many take to be asked is not the kill's time.
  const some = subjects.slice(0, 100);
  for (;;) {
    const { results, closed } = await probe.ask(some);
    const inside = results.filter(({ effect }) => effect === "allow").length;
    const waited = performance.now() - committed;
    if (closed && inside === 0) {
      const all = await probe.ask(subjects);
      const still = all.results.filter(({ effect }) => effect === "allow").length;
      if (still > 0) throw new StepFailure(`shut, the app lets ${still} subjects in`);
      return waited;
    }
    if (waited > applyTimeoutMs) {
      throw new StepFailure(
        `${Math.round(waited)} ms after the commit the app lets ${inside} of ${some.length} subjects in`,
      );
    }
    await delay(1);
  }
}

function describeLoad({ aiAfter, failed, answers, aiBefore }: LoadSeen): string {
  if (answers !== "") return `under load ${answers}`;
  if (aiAfter > 0) return `${counted(aiAfter, "run")} went by AI after the first refusal`;
  if (failed > 0) return `${counted(failed, "run")} failed after the kill`;
  return aiBefore === 0 ? "no run went by AI before the kill, so the load shows nothing" : "";
}
