import { dayTeller } from "@sluice/policy";

/** A day of a time zone. */
export interface BudgetDay {
  readonly day: string;
  readonly from: Date;
  /** When the next one begins. */
  readonly to: Date;
}

const hourMs = 3_600_000;

/** Undefined where the zone has no such day, as 2026-02-30, or one that the date line left out. */
export function budgetDay(day: string, timeZone: string): BudgetDay | undefined {
  const [, year, month, date] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(day) ?? [];
  if (year === undefined) return undefined;
  const dayOf = dayTeller(timeZone);
  // No zone is a whole day away from UTC, so this is of an earlier day.
  let fromMs = Date.UTC(Number(year), Number(month) - 1, Number(date)) - 36 * hourMs;
  let found = dayOf(fromMs);
  while (found.name < day) {
    fromMs = found.endsMs;
    found = dayOf(fromMs);
  }
  if (found.name !== day) return undefined;
  return { day, from: new Date(fromMs), to: new Date(found.endsMs) };
}
