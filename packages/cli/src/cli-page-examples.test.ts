import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { systemClock } from "@sluice/guard";
import { metricWindows, migrate, postgres, type SqlDatabase } from "@sluice/sql";
import { postgresAnswers, postgresForTests, type TestPostgres } from "@sluice/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const page = readFileSync(new URL("../../../docs/reference/cli.md", import.meta.url), "utf8");
const [alone = "", byTwo = ""] = [...page.matchAll(/^```sh\n(.*?)^```/gms)].map(
  ([, block]) => block ?? "",
);
const program = fileURLToPath(new URL("main.ts", import.meta.url));
const skipped = process.env["CI"] !== "true" && !postgresAnswers();

describe.skipIf(skipped)("the examples of the page, run by bash to the letter", () => {
  let server: TestPostgres;
  let db: SqlDatabase;
  const folder = mkdtempSync(join(tmpdir(), "sluice-page-"));
  const suffix = randomBytes(6).toString("hex");
  const [ann, ben] = [`sluice_ann_${suffix}`, `sluice_ben_${suffix}`];

  const bash = (script: string, role?: string) => {
    const url = new URL(server.connectionString);
    if (role !== undefined) url.username = role;
    return spawnSync("bash", ["--norc", "-euc", script], {
      cwd: folder,
      encoding: "utf8",
      env: {
        PATH: `${folder}${delimiter}${process.env["PATH"] ?? ""}`,
        DATABASE_URL: url.href,
      },
    });
  };

  beforeAll(async () => {
    const shim = join(folder, "sluice");
    writeFileSync(
      shim,
      `#!/usr/bin/env bash\nexec "${process.execPath}" --conditions=@sluice/source "${program}" "$@"\n`,
    );
    chmodSync(shim, 0o755);
    server = postgresForTests();
    db = postgres({ connectionString: server.connectionString });
    await migrate(db);
    await db.exec(`
      CREATE SCHEMA app;
      INSERT INTO feature_state (feature_name) VALUES ('slotgen_ai');
      CREATE ROLE ${ann} LOGIN; CREATE ROLE ${ben} LOGIN;
      GRANT SELECT, UPDATE ON feature_state TO ${ann}, ${ben};
      GRANT SELECT ON flag_changes TO ${ann}, ${ben};
      ALTER TABLE flag_changes ALTER COLUMN id RESTART WITH 12`);
    const windows = metricWindows(db, {
      clock: systemClock,
      random: () => 0.5,
      instanceId: "page",
    });
    const ofShadow = { feature: "slotgen_ai", arm: "shadow" } as const;
    windows.sink({ kind: "check", ...ofShadow, effect: "allow", admission: [] });
    await windows.close();
  });
  afterAll(async () => {
    await db.exec(`DROP OWNED BY ${ann}, ${ben}; DROP ROLE ${ann}, ${ben}`);
    await db.close();
    server.drop();
    rmSync(folder, { recursive: true });
  });

  it("by one person, from the migration to the check of the audit", { timeout: 300_000 }, () => {
    const { status, stderr, stdout } = bash(alone);
    expect(stderr).toBe("");
    expect(status).toBe(0);
    expect(stdout).toContain("slotgen_ai");
    expect(stdout).toMatch(/^allow +1 +100\.00 %$/m);
  });

  it("of a protected feature, by two roles", { timeout: 120_000 }, async () => {
    const lines = byTwo.trim().split("\n");
    const approval = lines.findIndex((line) => line.includes("approve"));
    for (const [script, role] of [
      [lines.slice(0, approval).join("\n"), ann],
      [lines[approval] ?? "", ben],
      [lines.slice(approval + 1).join("\n"), ann],
    ] as const) {
      const { status, stderr } = bash(script, role);
      expect(stderr, script).toBe("");
      expect(status, script).toBe(0);
    }
    const { rows } = await db.query("SELECT rollout_percent FROM feature_state");
    expect(rows).toEqual([{ rollout_percent: 50 }]);
  });
});
