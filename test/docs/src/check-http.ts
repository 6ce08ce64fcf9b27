import { differences } from "./differences.ts";
import type { Page } from "./read-page.ts";

/** Faults of the page on HTTP, by the statuses that were observed. */
export function checkHttp(page: Page, observed: ReadonlyMap<string, readonly number[]>): string[] {
  const rows = page.tables.flatMap((table) =>
    table.rows.map((row) => [row(table.columns[0] ?? ""), row("status")] as const),
  );
  return [
    ...differences(
      rows.map(([cause]) => cause),
      [...observed.keys()],
    ),
    ...rows.flatMap(([cause, cell]) => {
      const told = [...cell.matchAll(/\b\d{3}\b/g)]
        .map(([status]) => Number(status))
        .toSorted((a, b) => a - b);
      const real = observed.get(cause);
      return real === undefined || String(real) === String(told)
        ? []
        : [`${cause}: the status is ${real.join(" or ")}`];
    }),
  ];
}
