import { describeChecks, type Check } from "../conformance.ts";
import type { CreateAdmissionStore } from "./bench.ts";
import { leaseChecks } from "./lease-checks.ts";
import { modeChecks } from "./mode-checks.ts";
import { placeChecks } from "./place-checks.ts";
import { rateChecks } from "./rate-checks.ts";
import { refusalChecks } from "./refusal-checks.ts";
import { toolRateChecks } from "./tool-rate-checks.ts";
import { traceChecks } from "./trace-checks.ts";

export const admissionStoreChecks: readonly Check<CreateAdmissionStore>[] = [
  ...placeChecks,
  ...leaseChecks,
  ...rateChecks,
  ...refusalChecks,
  ...modeChecks,
  ...toolRateChecks,
  ...traceChecks,
];

/** What every admission store does, whatever it keeps its counts in. */
export function describeAdmissionStore(name: string, create: CreateAdmissionStore): void {
  describeChecks(`${name} as an admission store`, admissionStoreChecks, create);
}
