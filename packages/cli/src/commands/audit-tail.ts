import type { SqlNames, SqlQuery } from "@sluice/sql";
import { Command } from "commander";
import { z } from "zod";
import type { CliContext } from "../cli-context.ts";
import { parseCount } from "../parse-value.ts";
import { printTable } from "../print-table.ts";

const jsonRow = z.record(z.string(), z.unknown()).nullable();

const rowSchema = z.object({
  id: z.int(),
  at: z.string(),
  feature_name: z.string(),
  action: z.string(),
  old_row: jsonRow,
  new_row: jsonRow,
  database_role: z.string(),
  application_name: z.string().nullable(),
  reason: z.string().nullable(),
  change_id: z.int().nullable(),
});

type AuditRow = z.output<typeof rowSchema>;

export function auditTailCommand(context: CliContext): Command {
  return new Command("tail")
    .description("the newest changes, the newest last")
    .option("-n, --lines <n>", "how many", parseCount, 20)
    .addHelpText("after", "\nExample:\n  sluice audit tail -n 5 --json\n")
    .action((options: { lines: number }) =>
      context.withSession(async ({ db, names }) => {
        const rows = await readAudit(db.query, names, options.lines);
        context.show(rows.map(toJson), () => printAudit(rows));
      }),
    );
}

async function readAudit(
  query: SqlQuery,
  names: SqlNames,
  lines: number,
): Promise<readonly AuditRow[]> {
  const { rows } = await query<{ row: unknown }>(
    `SELECT to_jsonb(t) AS row FROM ${names.table("flag_audit")} AS t ORDER BY t.id DESC LIMIT $1`,
    [lines],
  );
  return rows.map(({ row }) => rowSchema.parse(row)).toReversed();
}

function toJson(row: AuditRow) {
  return {
    id: row.id,
    at: row.at,
    feature: row.feature_name,
    action: row.action,
    oldRow: row.old_row,
    newRow: row.new_row,
    role: row.database_role,
    application: row.application_name,
    reason: row.reason,
    changeId: row.change_id,
  };
}

function printAudit(rows: readonly AuditRow[]): string {
  return printTable(
    ["id", "at", "feature", "action", "change", "role", "application", "reason"],
    rows.map((row) => [
      row.id,
      row.at,
      row.feature_name,
      row.action,
      differences(row),
      row.database_role,
      row.application_name,
      row.reason,
    ]),
  );
}

const counted = new Set(["feature_name", "version", "updated_at"]);

const show = (value: unknown): string =>
  Array.isArray(value) ? `${String(value.length)} listed` : JSON.stringify(value ?? null);

/** `enabled true -> false`, for each column that differs; of an allowlist its length only. */
function differences({ old_row: before, new_row: after }: AuditRow): string {
  const columns = Object.keys({ ...before, ...after }).filter((name) => !counted.has(name));
  return columns
    .filter(
      (name) => JSON.stringify(before?.[name] ?? null) !== JSON.stringify(after?.[name] ?? null),
    )
    .map((name) =>
      before === null
        ? `${name} ${show(after?.[name])}`
        : `${name} ${show(before[name])} -> ${show(after?.[name])}`,
    )
    .join(", ");
}
