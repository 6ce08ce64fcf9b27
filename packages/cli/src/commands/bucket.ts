import { bucketOf, isEligibleSubject } from "@sluice/policy";
import { Command } from "commander";
import type { CliContext } from "../cli-context.ts";
import { CliFailure } from "../cli-failure.ts";
import { exitCodes } from "../exit-codes.ts";
import { featureArgument } from "../flag-options.ts";
import { findFlag, noSuchFeature, type FlagRow } from "../flag-row.ts";
import { parseText } from "../parse-value.ts";
import { printPairs } from "../print-table.ts";
import { quoteLiteral } from "../quote-literal.ts";

export function bucketCommand(context: CliContext): Command {
  return new Command("bucket")
    .description("a subject's bucket, the SQL that proves it, and why the subject is in or out")
    .addArgument(featureArgument())
    .argument("<subject>", "the subject's id", parseText)
    .addHelpText("after", "\nExample:\n  sluice bucket slotgen_ai user-42\n")
    .action((feature: string, subject: string) =>
      context.withSession(async ({ db, names }) => {
        if (!isEligibleSubject(subject)) {
          throw new CliFailure(
            exitCodes.usage,
            "a subject that is empty or longer than 1 KiB is never eligible",
          );
        }
        const stored = await findFlag(db.query, names, feature);
        if (stored === undefined) throw noSuchFeature(feature);
        const { flag } = stored;
        const salt = flag.salt ?? flag.feature;
        const bucket = bucketOf(salt, subject);
        const { rows } = await db.query<{ bucket: number }>(
          `SELECT (${bucketSql("$1::text")})::integer AS bucket`,
          [hashedText(salt, subject)],
        );
        if (rows[0]?.bucket !== bucket) {
          throw new CliFailure(exitCodes.checkFailed, "PostgreSQL computes another bucket");
        }
        const proof = proofSql(salt, subject);
        const { isIn, because } = judge(flag, subject, bucket);
        context.show({ feature, subject, salt, bucket, in: isIn, because, sql: proof }, () =>
          printPairs([
            ["bucket", bucket],
            ["in", isIn],
            ["because", because],
            ["proof", proof],
          ]),
        );
      }),
    );
}

const hashedText = (salt: string, subject: string): string =>
  salt === "" ? subject : `${salt}:${subject}`;

/** The bucket of a text, an expression of type text, in SQL. */
export const bucketSql = (text: string): string =>
  `('x' || substr(encode(sha256(convert_to(${text}, 'UTF8')), 'hex'), 1, 8))::bit(32)::bigint % 100`;

function proofSql(salt: string, subject: string): string {
  const text =
    salt === ""
      ? quoteLiteral(subject)
      : `${quoteLiteral(salt)} || ':' || ${quoteLiteral(subject)}`;
  return `SELECT ${bucketSql(text)} AS bucket;`;
}

const out = (because: string) => ({ isIn: false, because });

/** By the table alone: what the environment and the code add can only narrow. */
function judge(
  flag: FlagRow,
  subject: string,
  bucket: number,
): { readonly isIn: boolean; readonly because: string } {
  if (flag.killed) return out("the feature is killed");
  if (!flag.enabled) return out("the feature is not enabled");
  if (flag.percent === 0) return out("the feature is at 0 percent");
  if (flag.allowlist !== null && !flag.allowlist.includes(subject)) {
    return out("the subject is not on the allowlist");
  }
  const listed = flag.allowlist === null ? "" : "on the allowlist, and ";
  return bucket < flag.percent
    ? { isIn: true, because: `${listed}bucket ${String(bucket)} < ${String(flag.percent)} percent` }
    : out(`${listed}bucket ${String(bucket)} >= ${String(flag.percent)} percent`);
}
