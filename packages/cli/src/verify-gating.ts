import { isEligibleSubject } from "@sluice/policy";
import { bucketSql } from "./commands/bucket.ts";
import type { Session } from "./cli-context.ts";
import type { FlagRow } from "./flag-row.ts";
import { quoteLiteral } from "./quote-literal.ts";
import type { ProbeClient, Verdict } from "./verify-probe.ts";
import { counted, type Step } from "./verify-step.ts";

/** Who is in by the database, and by the app. */
export interface Compared {
  /** Empty where both say the same of each subject. */
  readonly fault: string;
  readonly admitted: ReadonlySet<string>;
  /** How the app takes the allowlist of the table. */
  readonly list: "require" | "include" | undefined;
  readonly sql: string;
}

/** `bucket < percent` of each subject, as the database computes it. */
export async function compareWithDatabase(
  { db }: Session,
  flag: FlagRow,
  subjects: readonly string[],
  verdicts: readonly Verdict[],
): Promise<Compared> {
  const salt = flag.salt ?? flag.feature;
  const text = salt === "" ? "subject" : `${quoteLiteral(salt)} || ':' || subject`;
  const sql = `SELECT ${bucketSql(text)} < ${flag.percent} AS inside FROM unnest($1::text[]) WITH ORDINALITY AS asked (subject, place) ORDER BY place`;
  const { rows } = await db.query<{ inside: boolean }>(sql, [subjects]);
  const listed = flag.allowlist === null ? undefined : new Set(flag.allowlist);

  const expected = (mode: "require" | "include", index: number): boolean => {
    const subject = subjects[index] ?? "";
    if (!isEligibleSubject(subject)) return false;
    const inside = rows[index]?.inside === true;
    const onList = listed?.has(subject) ?? true;
    if (mode === "require") return onList && inside;
    return inside || (listed !== undefined && onList);
  };
  const faultsUnder = (mode: "require" | "include"): readonly number[] =>
    verdicts.flatMap((verdict, index) =>
      (verdict.effect === "allow") === expected(mode, index) ? [] : [index],
    );

  const required = faultsUnder("require");
  // Which of the two the app's code has chosen is not in the table.
  const included = listed !== undefined && required.length > 0 ? faultsUnder("include") : required;
  const isIncluded = included.length < required.length;
  const faults = isIncluded ? included : required;
  return {
    fault: describeFaults(faults, subjects, verdicts),
    admitted: new Set(subjects.filter((_, index) => verdicts[index]?.effect === "allow")),
    list: listed === undefined ? undefined : isIncluded ? "include" : "require",
    sql,
  };
}

function describeFaults(
  faults: readonly number[],
  subjects: readonly string[],
  verdicts: readonly Verdict[],
): string {
  const [first] = faults;
  if (first === undefined) return "";
  const { effect = "divert", reason } = verdicts[first] ?? {};
  const subject = quoteLiteral((subjects[first] ?? "").slice(0, 40));
  const says = effect === "allow" ? "in" : `out, ${reason ?? "with no reason"}`;
  return `of ${faults.length} of ${counted(subjects.length, "subject")} app and database disagree; of ${subject} the app says ${says}`;
}

const shareOf = (admitted: number, all: number): string =>
  `${((admitted / all) * 100).toFixed(1)} %`;

/** The app's verdict is the database's, and the same when asked again. */
export async function verifyGating(
  session: Session,
  probe: ProbeClient,
  flag: FlagRow,
  subjects: readonly string[],
): Promise<{ readonly step: Step; readonly admitted: ReadonlySet<string> }> {
  const { results, without } = await probe.ask(subjects);
  const again = await probe.ask(subjects);
  const changed = results.filter(
    ({ effect, reason }, index) =>
      effect !== again.results[index]?.effect || reason !== again.results[index].reason,
  ).length;
  const { fault, admitted, list, sql } = await compareWithDatabase(
    session,
    flag,
    subjects,
    results,
  );
  const share = shareOf(admitted.size, subjects.length);
  const asked = without.length === 0 ? "" : `; asked without ${without.join(" and ")}`;
  const lists = list === undefined ? "" : `, the allowlist respected (${list})`;
  const good = `${counted(subjects.length, "subject")} asked twice: ${share} in at ${flag.percent} %, each as the database says${lists}${asked}`;
  const unstable =
    changed === 0 ? "" : `of ${counted(changed, "subject")} the second answer is another`;
  return {
    admitted,
    step: {
      step: "gating",
      ok: fault === "" && changed === 0,
      detail: fault === "" && changed === 0 ? good : `${fault || unstable}${asked}`,
      figures: {
        subjects: subjects.length,
        admitted: admitted.size,
        percent: flag.percent,
        changed,
        allowlist: list ?? null,
      },
      sql,
    },
  };
}
