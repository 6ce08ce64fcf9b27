import type { SqlNames } from "@sluice/sql";
import { stateOfChange, type ChangeOthers, type ChangeRow } from "./change-row.ts";
import { printTable } from "./print-table.ts";
import { quoteLiteral } from "./quote-literal.ts";

/** Changes as a table for people. */
export function printChanges(changes: readonly ChangeRow[]): string {
  return printTable(
    [
      "id",
      "feature",
      "state",
      "enabled",
      "percent",
      "killed",
      "others",
      "version",
      "asked by",
      "approved by",
      "expires",
      "reason",
    ],
    changes.map((change) => [
      change.id,
      change.feature,
      stateOfChange(change),
      change.enabled,
      change.percent,
      change.killed,
      describeOthers(change.others),
      change.rowVersion,
      change.requestedBy,
      change.approvedBy,
      change.expiresAt,
      change.reason,
    ]),
  );
}

const shownIds = 5;

function describeOthers(others: ChangeOthers): string {
  const { allowlist, salt, protected: isProtected } = others;
  return [
    ...(allowlist === undefined ? [] : [describeList(allowlist)]),
    ...(salt === undefined ? [] : [`salt ${JSON.stringify(salt)}`]),
    ...(isProtected === undefined ? [] : [isProtected ? "protected" : "not protected"]),
  ].join(", ");
}

function describeList(ids: readonly string[] | null): string {
  if (ids === null) return "no allowlist";
  const more = ids.length - shownIds;
  const shown = JSON.stringify(ids.slice(0, shownIds));
  return `allowlist ${shown}${more > 0 ? ` and ${String(more)} more` : ""}`;
}

/** The statement that applies an approved change, for psql. */
export function applyingSql(change: ChangeRow, names: SqlNames): string {
  const { allowlist, salt, protected: isProtected } = change.others;
  const sets = [
    `enabled = ${String(change.enabled)}`,
    `rollout_percent = ${String(change.percent)}`,
    `killed = ${String(change.killed)}`,
    ...(allowlist === undefined ? [] : [`allowlist = ${arrayLiteral(allowlist)}`]),
    ...(salt === undefined ? [] : [`salt = ${salt === null ? "NULL" : quoteLiteral(salt)}`]),
    ...(isProtected === undefined ? [] : [`protected = ${String(isProtected)}`]),
  ];
  return `UPDATE ${names.table("feature_state")} SET ${sets.join(", ")} WHERE feature_name = ${quoteLiteral(change.feature)};`;
}

function arrayLiteral(ids: readonly string[] | null): string {
  return ids === null ? "NULL" : `ARRAY[${ids.map(quoteLiteral).join(", ")}]::text[]`;
}
