export const stepNames = ["reachable", "gating", "narrowing", "kill", "isolation"] as const;
export type StepName = (typeof stepNames)[number];

/** One step of a verification, and what it is held to. */
export interface Step {
  readonly step: StepName;
  readonly ok: boolean;
  /** One line for people. */
  readonly detail: string;
  readonly figures: Readonly<Record<string, number | string | null>>;
  /** The statement that the step rests on, as it ran. */
  readonly sql?: string;
}

/** Why a step can't be shown, though nothing is wrong with the command or the database. */
export class StepFailure extends Error {
  override readonly name = "StepFailure";
}

export function printStep({ step, ok, detail, sql }: Step): string {
  const head = `${ok ? "ok    " : "failed"}  ${step.padEnd(9)}  ${detail}\n`;
  return sql === undefined ? head : `${head}${" ".repeat(19)}${sql}\n`;
}

const thousands = new Intl.NumberFormat("en-US");

/** `1,000 subjects`, `1 subject`. */
export function counted(count: number, noun: string): string {
  return `${thousands.format(count)} ${noun}${count === 1 ? "" : "s"}`;
}
