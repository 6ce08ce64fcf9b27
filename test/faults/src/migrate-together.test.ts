import { createHash, randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { postgres, type SqlDatabase } from "@sluice/sql";
import { postgresAnswers, postgresForTests, startProcess } from "@sluice/testkit";
import { describe, expect, it, onTestFinished } from "vitest";

const sluice = fileURLToPath(
  new URL("src/main.ts", import.meta.resolve("@sluice/cli/package.json")),
);
const folder = new URL("../../../packages/sql/migrations/", import.meta.url);

const migrations = readdirSync(folder)
  .filter((name) => name.endsWith(".sql"))
  .toSorted()
  .map((name) => {
    const script = readFileSync(new URL(name, folder), "utf8").replaceAll("\r\n", "\n");
    return { name, checksum: createHash("sha256").update(script).digest("hex") };
  });

/** Ten processes of the command line at once, and what each printed. */
const migrateTenTimes = (connectionString: string) =>
  Promise.all(
    Array.from({ length: 10 }, async () => {
      const one = startProcess(sluice, {
        args: ["migrate", "--prefix", "p3_", "--json"],
        env: { DATABASE_URL: connectionString },
      });
      onTestFinished(async () => void (await one.kill()));
      const { code } = await one.ended;
      return { code, stdout: one.stdout, stderr: one.stderr };
    }),
  );

function emptyDatabase(): { readonly connectionString: string; readonly db: SqlDatabase } {
  const { connectionString, drop } = postgresForTests();
  onTestFinished(drop);
  const db = postgres({ connectionString });
  onTestFinished(() => db.close());
  return { connectionString, db };
}

const tablesOf = async (db: SqlDatabase): Promise<readonly string[]> => {
  const { rows } = await db.query<{ name: string }>(
    "SELECT tablename::text AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1",
  );
  return rows.map(({ name }) => name);
};

const skipped = process.env["CI"] !== "true" && !postgresAnswers();
const title = `ten processes that migrate${skipped ? " (skipped: no server answers psql)" : ""}`;

// oxlint-disable-next-line vitest/valid-title -- says whether it is skipped
describe.skipIf(skipped)(title, { timeout: 120_000 }, () => {
  it("all succeed, and each migration runs in one of them", async () => {
    const { connectionString, db } = emptyDatabase();
    const ended = await migrateTenTimes(connectionString);
    for (const { code, stderr } of ended) expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const applied = ended.flatMap(
      ({ stdout }) => (JSON.parse(stdout) as { readonly applied: readonly string[] }).applied,
    );
    expect(applied.toSorted()).toEqual(migrations.map(({ name }) => name));
    const { rows } = await db.query("SELECT name, checksum FROM p3_sluice_migrations ORDER BY 1");
    expect(rows).toEqual(migrations);
    expect(await tablesOf(db)).toEqual(
      expect.arrayContaining([
        "p3_ai_provider_configs",
        "p3_ai_training_examples",
        "p3_feature_state",
        "p3_sluice_migrations",
      ]),
    );
  });

  it("each say in one line that their role has no right to, and leave nothing", async () => {
    const { connectionString, db } = emptyDatabase();
    const role = `sluice_migrate_${randomBytes(6).toString("hex")}`;
    await db.query(`CREATE ROLE ${role} LOGIN`);
    onTestFinished(async () => void (await db.query(`DROP ROLE ${role}`)));
    // As it is from PostgreSQL 15 on, whatever the template says.
    await db.query("REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    const url = new URL(connectionString);
    url.username = role;
    for (const { code, stdout, stderr } of await migrateTenTimes(url.href)) {
      expect({ code, stdout }).toEqual({ code: 5, stdout: "" });
      expect(stderr).toMatch(/^[^\n]*permission denied for schema public[^\n]*\n$/);
    }
    expect(await tablesOf(db)).toEqual([]);
  });
});
