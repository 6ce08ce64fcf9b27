import type { FlagRow } from "./flag-row.ts";
import type { ProbeClient, Probed } from "./verify-probe.ts";
import { StepFailure } from "./verify-step.ts";

/** Longer than the guard's staleness limit: by then a process has heard of a change, or has closed. */
export const applyTimeoutMs = 6000;
const betweenAsksMs = 10;

/** Whether the app decides on the row as it is in the table. */
function hasApplied({ flagVersion, percent, closed }: Probed, flag: FlagRow): boolean {
  if (flagVersion !== null && flag.version !== null && flagVersion < flag.version) return false;
  return percent === flag.percent && closed === isClosed(flag);
}

export function isClosed({ enabled, killed, percent }: FlagRow): boolean {
  return killed || !enabled || percent === 0;
}

/** Waits until the app decides on this row. @throws StepFailure after {@link applyTimeoutMs} */
export async function awaitApplied(probe: ProbeClient, flag: FlagRow): Promise<Probed> {
  const deadline = performance.now() + applyTimeoutMs;
  for (;;) {
    const answer = await probe.ask(["any"]);
    if (hasApplied(answer, flag)) return answer;
    if (performance.now() > deadline) throw new StepFailure(notApplied(answer, flag));
    await delay(betweenAsksMs);
  }
}

function notApplied({ flagVersion, percent, closed }: Probed, flag: FlagRow): string {
  if (closed && !isClosed(flag)) {
    return "the table has the feature open and the app has it closed: killed in that process, or by its environment";
  }
  const version = flag.version === null ? "" : `, version ${flag.version}`;
  const applied = flagVersion === null ? "" : `, version ${flagVersion}`;
  return `the table says ${flag.percent} %${version}, and the app decides on ${percent} %${applied}`;
}

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
