import type { SqlQuery } from "@sluice/sql";
import { beginChange } from "./change-agreed.ts";
import type { Session } from "./cli-context.ts";
import { CliFailure } from "./cli-failure.ts";
import { exitCodes } from "./exit-codes.ts";
import { noSuchFeature, parseFlagRow, type FlagRow } from "./flag-row.ts";
import { quoteLiteral } from "./quote-literal.ts";
import { delay } from "./verify-applied.ts";

/** A feature's row that is changed for a while. What anybody else writes meanwhile is never overwritten. */
export interface BorrowedRow {
  readonly before: FlagRow;
  /** The bare statement that shuts the feature. */
  readonly shutSql: string;
  /** Sets the percentage; rejects where somebody else changed the row. */
  narrow(percent: number): Promise<FlagRow>;
  shut(): Promise<FlagRow>;
  /** Makes `enabled` and `rollout_percent` what they were; does nothing where they are. */
  putBack(): Promise<FlagRow>;
}

interface Written {
  readonly row: unknown;
  /** The transaction that wrote it: also one that changed nothing, which no version would tell. */
  readonly writer: string;
}

const reason = "sluice verify";
const tries = 5;
const betweenTriesMs = 1000;

export async function borrowRow(session: Session, feature: string): Promise<BorrowedRow> {
  const { db, names } = session;
  const table = names.table("feature_state");
  const where = `WHERE feature_name = ${quoteLiteral(feature)}`;
  const shutSql = `UPDATE ${table} SET enabled = false, rollout_percent = 0 ${where}`;
  const selectSql = `SELECT to_jsonb(t) AS row, t.xmin::text AS writer FROM ${table} AS t ${where}`;

  const read = async (query: SqlQuery, lock: "" | " FOR UPDATE"): Promise<Written> => {
    const { rows } = await query<Written>(`${selectSql}${lock}`);
    if (rows[0] === undefined) throw noSuchFeature(feature);
    return rows[0];
  };

  const found = await read(db.query, "");
  const before = parseFlagRow(found.row).flag;
  const backSql = `UPDATE ${table} SET enabled = ${before.enabled}, rollout_percent = ${before.percent} ${where}`;
  let { writer } = found;
  let isBorrowed = false;
  let current = before;

  const write = async (statement: string): Promise<FlagRow> => {
    const written = await db.transaction(async (query) => {
      await beginChange(query, reason);
      if ((await read(query, " FOR UPDATE")).writer !== writer) {
        throw new CliFailure(
          exitCodes.checkFailed,
          `somebody else changed ${feature} meanwhile, and that is left as it is; before, it was ${stateOf(before)}`,
        );
      }
      await query(statement);
      return read(query, "");
    });
    writer = written.writer;
    current = parseFlagRow(written.row).flag;
    return current;
  };

  const borrow = (statement: string): Promise<FlagRow> => {
    isBorrowed = true;
    return write(statement);
  };

  return {
    before,
    shutSql,
    narrow: (percent) => borrow(`UPDATE ${table} SET rollout_percent = ${percent} ${where}`),
    shut: () => borrow(shutSql),
    async putBack() {
      if (!isBorrowed) return current;
      for (let attempt = 1; ; attempt += 1) {
        try {
          const row = await write(backSql);
          isBorrowed = false;
          return row;
        } catch (error) {
          if (error instanceof CliFailure) {
            isBorrowed = false;
            throw error;
          }
          if (attempt === tries) throw notPutBack(feature, before, backSql);
        }
        await delay(betweenTriesMs);
      }
    },
  };
}

const stateOf = ({ enabled, percent }: FlagRow): string =>
  `enabled = ${enabled}, rollout_percent = ${percent}`;

function notPutBack(feature: string, before: FlagRow, backSql: string): CliFailure {
  return new CliFailure(
    exitCodes.checkFailed,
    `${feature} could not be put back and is narrower than it was (${stateOf(before)}); put it back with: ${backSql};`,
  );
}
