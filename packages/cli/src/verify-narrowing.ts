import type { Session } from "./cli-context.ts";
import { awaitApplied } from "./verify-applied.ts";
import { compareWithDatabase } from "./verify-gating.ts";
import type { ProbeClient } from "./verify-probe.ts";
import type { BorrowedRow } from "./verify-row.ts";
import { StepFailure, type Step } from "./verify-step.ts";

/** Fewer percent let in some of those who were in; as many as before let in the same ones again. */
export async function verifyNarrowing(
  session: Session,
  probe: ProbeClient,
  row: BorrowedRow,
  subjects: readonly string[],
  admitted: ReadonlySet<string>,
): Promise<Step> {
  const { percent } = row.before;
  const half = Math.floor(percent / 2);
  let narrow: ReadonlySet<string>;
  let fault: string;
  try {
    const flag = await row.narrow(half);
    await awaitApplied(probe, flag);
    const { results } = await probe.ask(subjects);
    const compared = await compareWithDatabase(session, flag, subjects, results);
    narrow = compared.admitted;
    // At 0 the feature is closed, whatever a list says.
    fault = half > 0 ? compared.fault : narrow.size > 0 ? `${narrow.size} are in at 0 %` : "";
  } finally {
    await row.putBack();
  }
  const added = [...narrow].filter((subject) => !admitted.has(subject)).length;
  await awaitSameCohort(probe, row, subjects, admitted);
  const good = `at ${half} % ${narrow.size} of the ${admitted.size} are in and nobody else; at ${percent} % the same ${admitted.size} again`;
  const grown = added === 0 ? "" : `at ${half} % ${added} are in who were not at ${percent} %`;
  return {
    step: "narrowing",
    ok: fault === "" && added === 0,
    detail: fault === "" && added === 0 ? good : `at ${half} %: ${fault || grown}`,
    figures: { percent: half, admitted: narrow.size, before: admitted.size, added },
  };
}

/** Once the row is as it was. @throws StepFailure where others are in than before */
export async function awaitSameCohort(
  probe: ProbeClient,
  row: BorrowedRow,
  subjects: readonly string[],
  admitted: ReadonlySet<string>,
): Promise<void> {
  await awaitApplied(probe, await row.putBack());
  const { results } = await probe.ask(subjects);
  const moved = subjects.filter(
    (subject, index) => (results[index]?.effect === "allow") !== admitted.has(subject),
  ).length;
  if (moved > 0) {
    throw new StepFailure(`put back, ${moved} subjects are not in or out as they were before`);
  }
}
