import { migrate, postgres } from "@sluice/sql";
import { runPsql } from "@sluice/testkit";

const where = "WHERE feature_name = 'sample_ai'";

/** What an operator types. */
export const opened = `UPDATE feature_state SET enabled = true, killed = false, rollout_percent = 100 ${where}`;
export const killed = `UPDATE feature_state SET killed = true ${where}`;

/** The table of flags with the sample feature open; resolves with what runs a statement by psql. */
export async function openSampleFeature(
  connectionString: string,
): Promise<(statement: string) => string> {
  const db = postgres({ connectionString });
  await migrate(db);
  await db.query("INSERT INTO feature_state (feature_name) VALUES ($1)", ["sample_ai"]);
  await db.close();
  runPsql(connectionString, opened);
  return (statement) => runPsql(connectionString, statement);
}
