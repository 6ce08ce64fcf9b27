import { parseOptions } from "@sluice/contract";
import { z } from "zod";
import type { SqlDatabase } from "./database.ts";
import { sqlNames, type SqlNameOptions, type SqlNames } from "./names.ts";

/** A place in the audit's chain. Kept elsewhere, it shows later that nothing up to it was removed. */
export interface AuditAnchor {
  /** Decimal; `0` before the first row. */
  readonly id: string;
  /** Hex; empty before the first row. */
  readonly hash: string;
}

export interface AuditOptions {
  readonly names?: SqlNameOptions;
}

export interface VerifyAuditOptions extends AuditOptions {
  /** An earlier {@link auditAnchor}. */
  readonly anchor?: AuditAnchor;
}

export type AuditProblem =
  /**
   * The row's content is not what was hashed, or its link is not the row before it, as with the first that
   * was written when the head was gone or set back.
   */
  | "altered"
  /** The row is not there. */
  | "missing"
  /** The row is not the one that the anchor names: the chain was written anew. */
  | "not-the-anchor"
  /** Whole as it stands, but the head names another row: the newest are gone, or it was set back. */
  | "head-differs";

export type AuditVerdict =
  | { readonly ok: true; readonly rows: number; readonly head: AuditAnchor }
  /** `at` is the id of the first row that is wrong. */
  | { readonly ok: false; readonly at: string; readonly problem: AuditProblem };

const anchorSchema = z
  .strictObject({
    id: z.string().regex(/^\d{1,18}$/u, "decimal digits"),
    hash: z.string().regex(/^(?:[0-9a-f]{64})?$/u, "64 hex digits"),
  })
  .optional();

interface Checked {
  readonly rows: string;
  readonly last_id: string;
  readonly last_hash: string;
  readonly head_id: string | null;
  readonly head_hash: string | null;
  readonly anchor_hash: string | null;
  readonly bad_id: string | null;
  readonly bad_is_missing: boolean | null;
}

/** Where the audit's chain ends now. */
export async function auditAnchor(
  db: SqlDatabase,
  options: AuditOptions = {},
): Promise<AuditAnchor> {
  const { rows } = await db.query<AuditAnchor>(
    `SELECT id::text AS id, encode(hash, 'hex') AS hash
     FROM ${sqlNames(options.names).table("flag_audit_head")}`,
  );
  return rows[0] ?? { id: "0", hash: "" };
}

/**
 * Computes the audit's chain anew, with nothing that is stored in the database but the rows, and names the
 * first that was altered or removed. Whoever may write the chain may write it anew as a whole; only an
 * anchor kept elsewhere shows that. A long chain may take longer than other statements are allowed.
 * @throws ConfigError where the anchor is none.
 */
export async function verifyAudit(
  db: SqlDatabase,
  options: VerifyAuditOptions = {},
): Promise<AuditVerdict> {
  const anchor = parseOptions("verifyAudit.anchor", anchorSchema, options.anchor);
  const names = sqlNames(options.names);
  const { rows } = await db.transaction(
    (query) => query<Checked>(chainStatement(names), [anchor?.id ?? "0"]),
    { unhurried: true },
  );
  const [checked] = rows;
  if (checked === undefined) {
    throw new Error("the audit query gave no row");
  }

  const head: AuditAnchor = { id: checked.last_id, hash: checked.last_hash };
  if (checked.bad_id !== null) {
    const problem = checked.bad_is_missing === true ? "missing" : "altered";
    return { ok: false, at: checked.bad_id, problem };
  }
  const next = String(BigInt(head.id) + 1n);
  if (anchor !== undefined && BigInt(anchor.id) > BigInt(head.id)) {
    return { ok: false, at: next, problem: "missing" };
  }
  if (anchor !== undefined && anchor.hash !== (checked.anchor_hash ?? "")) {
    return { ok: false, at: anchor.id, problem: "not-the-anchor" };
  }
  if (checked.head_id === null || BigInt(checked.head_id) > BigInt(head.id)) {
    return { ok: false, at: next, problem: "missing" };
  }
  if (checked.head_id !== head.id || checked.head_hash !== head.hash) {
    return { ok: false, at: checked.head_id, problem: "head-differs" };
  }
  return { ok: true, rows: Number(checked.rows), head };
}

function chainStatement(names: SqlNames): string {
  return `WITH linked AS (
     SELECT id, hash,
       coalesce(lag(id) OVER chain, 0) + 1 AS expected_id,
       previous_hash = coalesce(lag(hash) OVER chain, '') AND hash = sha256(
         previous_hash || convert_to(jsonb_build_array(
           id, (extract(epoch FROM at) * 1000000)::bigint, feature_name, action, old_row, new_row,
           database_role, application_name, reason, change_id
         )::text, 'UTF8')
       ) AS intact
     FROM ${names.table("flag_audit")}
     WINDOW chain AS (ORDER BY id)
   ), bad AS (
     SELECT least(id, expected_id) AS id, id > expected_id AS missing FROM linked
     WHERE id <> expected_id OR intact IS NOT TRUE ORDER BY linked.id LIMIT 1
   ), newest AS (
     SELECT id, hash FROM linked ORDER BY id DESC LIMIT 1
   )
   SELECT (SELECT count(*) FROM linked)::text AS rows,
     coalesce((SELECT id FROM newest), 0)::text AS last_id,
     coalesce((SELECT encode(hash, 'hex') FROM newest), '') AS last_hash,
     (SELECT id FROM ${names.table("flag_audit_head")})::text AS head_id,
     (SELECT encode(hash, 'hex') FROM ${names.table("flag_audit_head")}) AS head_hash,
     (SELECT encode(hash, 'hex') FROM linked WHERE id = $1::text::bigint) AS anchor_hash,
     (SELECT id FROM bad)::text AS bad_id,
     (SELECT missing FROM bad) AS bad_is_missing`;
}
