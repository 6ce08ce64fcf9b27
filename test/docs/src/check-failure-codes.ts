import {
  failureCodes,
  toolFailures,
  type FailureCode,
  type ProviderHealth,
} from "@sluice/contract";
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
      const { retry, failover, coolDownMs, health, httpStatus } = failureTable[code];
      const expected = {
        "tried again": yesOrNo(retry),
        "another stands in": yesOrNo(failover),
        "left alone": coolDownMs === 0 ? "no" : `${coolDownMs / 1000} s`,
        breaker: learns[health],
        status: String(httpStatus),
      };
      return Object.entries(expected)
        .filter(([column, real]) => row(column) !== real)
        .map(([column, real]) => `${code}, ${column}: the code says ${real}`);
    }),
    ...differences(codesOf(tableUnder(page, "Tool calls"), "code"), toolFailures),
  ];
}

function yesOrNo(answer: boolean): string {
  return answer ? "yes" : "no";
}

function isFailureCode(code: string): code is FailureCode {
  return Object.hasOwn(failureTable, code);
}
