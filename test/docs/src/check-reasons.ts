import { gateNames, Reason, skipReasons } from "@sluice/contract";
import { differences } from "./differences.ts";
import { codesIn, codesOf, tableUnder, type Page } from "./read-page.ts";

/** What a cell says of a gate that is not one of the chain. */
const beside = ["tool calls"];

/** Faults of the reasons page; it and the table of gates must tell the same story. */
export function checkReasons(reasons: Page, guardOptions: Page): string[] {
  const table = tableUnder(reasons, "Reasons");
  return [
    ...differences(codesOf(table, "code"), Object.values(Reason)),
    ...differences(codesOf(tableUnder(reasons, "Skipped"), "why"), skipReasons),
    ...table.rows
      .flatMap((row) => gatesIn(row("gate")))
      .filter((gate) => !gatesKnown.includes(gate))
      .map((gate) => `${gate} is no gate`),
    ...differences(
      table.rows.flatMap((row) => pairs(gatesIn(row("gate")), codesIn(row("code")))),
      tableUnder(guardOptions, "Gates").rows.flatMap((row) =>
        pairs(codesIn(row("gate")), codesIn(row("not allowed"))),
      ),
    ).filter((fault) => !beside.some((gate) => fault.startsWith(gate))),
  ];
}

const gatesKnown: readonly string[] = [...gateNames, ...beside];

/** `rollout, or feature-flag at 0 %` names two. */
function gatesIn(cell: string): string[] {
  return cell.split(/,\s*/).map((part) => part.replace(/^or /, "").replace(/ at .*$/, ""));
}

function pairs(gates: readonly string[], codes: readonly string[]): string[] {
  return gates.flatMap((gate) => codes.map((code) => `${gate} ▸ ${code}`));
}
