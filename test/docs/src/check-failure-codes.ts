import { failureCodes, type FailureCode, type ProviderHealth } from "@sluice/contract";
import { failureTable } from "@sluice/policy";
import { differences } from "./differences.ts";
import { codesIn, codesOf, tableUnder, type Page } from "./read-page.ts";

/** What the page calls what a breaker learns. */
const learns: Readonly<Record<ProviderHealth, string>> = {
  failure: "failure",
  success: "success",
  neutral: "nothing",
};

export function checkFailureCodes(page: Page): string[] {
  const table = tableUnder(page, "Failure codes");
  return [
    ...differences(codesOf(table, "code"), failureCodes),
    ...table.rows.flatMap((row) => {
      const [code = ""] = codesIn(row("code"));
      if (!isFailureCode(code)) return [];
      const { health, httpStatus } = failureTable[code];
      return [
        ...(row("breaker") === learns[health]
          ? []
          : [`${code}: a breaker learns ${learns[health]}`]),
        ...(row("status") === String(httpStatus) ? [] : [`${code}: the status is ${httpStatus}`]),
      ];
    }),
  ];
}

function isFailureCode(code: string): code is FailureCode {
  return Object.hasOwn(failureTable, code);
}
