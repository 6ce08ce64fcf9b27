import { differences } from "./differences.ts";
import type { GatewayRow } from "./observe-gateway.ts";
import { codesIn, codesOf, tableUnder, type Page } from "./read-page.ts";

/** Faults of what the page on HTTP says of a chat gateway, by what was observed. */
export function checkGateway(page: Page, observed: ReadonlyMap<string, GatewayRow>): string[] {
  const table = tableUnder(page, "Behind a chat gateway");
  return [
    ...differences(
      table.rows.map((row) => row("the request")),
      [...observed.keys()],
    ),
    ...table.rows.flatMap((row) => {
      const request = row("the request");
      return [...(observed.get(request) ?? [])]
        .filter(([column, real]) => row(`\`${column}\``) !== real)
        .map(([column, real]) => `${request}, ${column}: it is ${real}`);
    }),
  ];
}

/** What an answer told of itself. */
export interface ObservedMeta {
  readonly members: readonly string[];
  readonly headers: readonly string[];
}

export function checkMeta(page: Page, { members, headers }: ObservedMeta): string[] {
  const table = tableUnder(page, "Who answered");
  return [
    ...differences(codesOf(table, "`meta`"), members),
    ...differences(codesIn(table.rows.map((row) => row("header")).join(" ")), headers),
  ];
}
