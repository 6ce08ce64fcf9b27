import { describeValue } from "@sluice/contract";
import { verifyAudit, type AuditAnchor } from "@sluice/sql";
import { Command, InvalidArgumentError } from "commander";
import type { CliContext } from "../cli-context.ts";
import { CliFailure } from "../cli-failure.ts";
import { exitCodes } from "../exit-codes.ts";

export function auditVerifyCommand(context: CliContext): Command {
  return new Command("verify")
    .description("compute the audit's chain anew; exit code 1 where a row was altered or removed")
    .option("--anchor <id:hash>", "an earlier `sluice audit anchor`", parseAnchor)
    .addHelpText("after", '\nExample:\n  sluice audit verify --anchor "$(cat anchor.txt)"\n')
    .action((options: { anchor?: AuditAnchor }) =>
      context.withSession(async ({ db, nameOptions }) => {
        const verdict = await verifyAudit(db, { names: nameOptions, ...options });
        context.show(verdict, () =>
          verdict.ok
            ? `whole: ${String(verdict.rows)} rows, ends at ${verdict.head.id}:${verdict.head.hash}\n`
            : "",
        );
        if (!verdict.ok) {
          throw new CliFailure(
            exitCodes.checkFailed,
            `the audit is not whole: row ${verdict.at}: ${verdict.problem}`,
          );
        }
      }),
    );
}

function parseAnchor(value: string): AuditAnchor {
  const [, id, hash] = /^(\d{1,18}):((?:[0-9a-f]{64})?)$/.exec(value.trim()) ?? [];
  if (id === undefined || hash === undefined) {
    throw new InvalidArgumentError(`Got ${describeValue(value)}, expected id:hash.`);
  }
  return { id, hash };
}
