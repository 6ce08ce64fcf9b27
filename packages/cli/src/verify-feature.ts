import type { Session } from "./cli-context.ts";
import { CliFailure } from "./cli-failure.ts";
import { exitCodes } from "./exit-codes.ts";
import { awaitApplied, isClosed } from "./verify-applied.ts";
import { verifyGating } from "./verify-gating.ts";
import { readForeignWrites, verifyIsolation } from "./verify-isolation.ts";
import { verifyKill } from "./verify-kill.ts";
import { verifyNarrowing } from "./verify-narrowing.ts";
import { runsAtOnce, type ProbeClient, type Probed } from "./verify-probe.ts";
import type { BorrowedRow } from "./verify-row.ts";
import { makeSubjects, neverEligible } from "./verify-subjects.ts";
import { StepFailure, type Step, type StepName } from "./verify-step.ts";

export interface Verification {
  readonly session: Session;
  readonly feature: string;
  readonly probe: ProbeClient;
  readonly row: BorrowedRow;
  /** How many subjects to make up. */
  readonly subjects: number;
  readonly skip: ReadonlySet<StepName>;
  readonly signal: AbortSignal;
  /** Told each step as it ends. */
  readonly onStep: (step: Step) => void;
}

/** All steps in order; the row is as it was when it resolves or rejects, or the rejection says it is not. */
export async function verifyFeature(verification: Verification): Promise<readonly Step[]> {
  const { session, probe, row, skip, signal } = verification;
  const flag = row.before;
  const steps: Step[] = [];
  const show = async (name: StepName, take: () => Promise<Step>): Promise<Step> => {
    const step = await take().catch((error: unknown): Step => {
      // What is nobody's word on the app is the whole command's failure.
      if (!(error instanceof StepFailure)) throw error;
      return { step: name, ok: false, detail: error.message, figures: {} };
    });
    steps.push(step);
    verification.onStep(step);
    return step;
  };

  let head: Probed | undefined;
  const reachable = await show("reachable", async () => {
    head = await awaitApplied(probe, flag);
    return verifyReachable(verification, head);
  });
  if (!reachable.ok || head === undefined) return steps;
  const canRun = head.runs;

  const subjects = [
    ...new Set([
      ...makeSubjects(verification.subjects),
      ...neverEligible,
      ...(flag.allowlist ?? []).slice(0, 1000),
    ]),
  ];
  let admitted: ReadonlySet<string> = new Set();
  await show("gating", async () => {
    if (isClosed(flag)) {
      throw new StepFailure("the feature is closed, so nothing can be shown; nothing was changed");
    }
    const gating = await verifyGating(session, probe, flag, subjects);
    ({ admitted } = gating);
    return gating.step;
  });
  if (isClosed(flag)) return steps;

  const foreign = skip.has("isolation") ? undefined : await readForeignWrites(session);
  try {
    if (!skip.has("narrowing")) {
      await show("narrowing", () => verifyNarrowing(session, probe, row, subjects, admitted));
    }
    if (!skip.has("kill")) {
      await show("kill", () => verifyKill(probe, row, subjects, admitted, canRun));
    }
  } finally {
    await row.putBack();
  }
  if (foreign !== undefined) {
    const inAndOut = [...[...admitted].slice(0, runsAtOnce / 2), ...subjects];
    await show("isolation", () =>
      verifyIsolation(session, probe, foreign, inAndOut, canRun, signal),
    );
  }
  return steps;
}

function verifyReachable({ row, feature }: Verification, head: Probed): Step {
  const flag = row.before;
  const { instance, flagVersion } = head;
  const who = instance === undefined ? "the app" : instance;
  const state = isClosed(flag) ? "closed" : `open at ${flag.percent} %`;
  const version = flagVersion === null ? "" : ` by version ${flagVersion}, which is the table's`;
  return {
    step: "reachable",
    ok: true,
    detail: `${who} has ${feature} ${state}${version}`,
    figures: { instance: instance ?? null, version: flagVersion, percent: flag.percent },
  };
}

/** A protected feature can be narrowed by anybody, and put back only with an approved change. */
export function assertCanPutBack({ before }: BorrowedRow, skip: ReadonlySet<StepName>): void {
  if (!before.protected || isClosed(before)) return;
  if (skip.has("narrowing") && skip.has("kill")) return;
  throw new CliFailure(
    exitCodes.refused,
    `${before.feature} is protected: to be put back after a kill it would need an approved change; --skip narrowing --skip kill verifies the rest`,
  );
}
