import { fileURLToPath } from "node:url";
import { run } from "@sluice/cli";
import { migrate, postgres } from "@sluice/sql";
import { postgresAnswers, postgresForTests, startProcess } from "@sluice/testkit";
import { describe, expect, it, onTestFinished, vi } from "vitest";

const feature = "p3_advisory";
const shut = '"enabled":false,"rollout_percent":0';
const token = "a-token-of-the-probe";
const appPath = fileURLToPath(new URL("sluice-verify-app.ts", import.meta.url));
const cliPath = fileURLToPath(new URL("../../../packages/cli/src/main.ts", import.meta.url));

interface Shown {
  readonly ok: boolean;
  readonly steps: readonly {
    readonly step: string;
    readonly ok: boolean;
    readonly detail: string;
    readonly figures: Readonly<Record<string, unknown>>;
    readonly sql?: string;
  }[];
}

interface AppSettings {
  readonly FAULT?: string;
  readonly SAMPLE?: "no";
}

/** A database with a table of ours and one of the product's, open at 40 %, and an app on it. */
async function setUp(settings: AppSettings = {}, open = "enabled = true, rollout_percent = 40") {
  const { connectionString, drop } = postgresForTests();
  onTestFinished(drop);
  const db = postgres({ connectionString });
  await migrate(db, { names: { prefix: "p3_" } });
  await db.query("INSERT INTO p3_feature_state (feature_name) VALUES ($1)", [feature]);
  await db.exec("CREATE TABLE orders (id integer); INSERT INTO orders VALUES (1)");
  // A server process tells what it wrote when it ends, at the latest.
  await db.close();
  const operator = postgres({ connectionString, poolSize: 1 });
  onTestFinished(() => operator.close());
  const psql = (statement: string) => operator.exec(statement);
  await psql(`UPDATE p3_feature_state SET ${open}`);
  const app = startProcess(appPath, {
    env: { DATABASE_URL: connectionString, TOKEN: token, ...settings },
  });
  onTestFinished(async () => void (await app.kill()));
  const [, port = ""] = await app.printed(/listening on (\d+)/);
  const url = `http://127.0.0.1:${port}/sluice/probe`;
  const env = { DATABASE_URL: connectionString, SLUICE_PREFIX: "p3_", SLUICE_PROBE_TOKEN: token };

  const row = async () => {
    const { rows } = await operator.query(
      "SELECT enabled, rollout_percent, killed, allowlist, salt, protected FROM p3_feature_state",
    );
    return JSON.stringify(rows);
  };
  const untilShut = () =>
    vi.waitFor(
      async () => {
        if (!(await row()).includes(shut)) throw new Error("not shut yet");
      },
      { timeout: 30_000, interval: 20 },
    );
  const sluice = async (argv: readonly string[], more: Readonly<Record<string, string>> = {}) => {
    let out = "";
    let err = "";
    const code = await run({
      argv: ["verify", feature, "--url", url, "--yes", ...argv],
      env: { ...env, ...more },
      out: (text) => {
        out += text;
      },
      err: (text) => {
        err += text;
      },
      isTty: false,
      open: (options) => postgres({ ...options, applicationName: "sluice-cli" }),
    });
    return { code, out, err };
  };
  const verify = async (...argv: string[]) => {
    const { code, out, err } = await sluice(["--json", ...argv]);
    const shown = out === "" ? undefined : (JSON.parse(out) as Shown);
    const step = (name: string) => shown?.steps.find((candidate) => candidate.step === name);
    const failed = shown?.steps.filter(({ ok }) => !ok).map((candidate) => candidate.step);
    return { code, err, shown, step, failed };
  };
  return { operator, psql, url, env, app, row, before: await row(), untilShut, sluice, verify };
}

const skipped = process.env["CI"] !== "true" && !postgresAnswers();
const title = `sluice verify${skipped ? " (skipped: no server answers psql)" : ""}`;

// oxlint-disable-next-line vitest/valid-title -- says whether it is skipped
describe.skipIf(skipped)(title, { timeout: 90_000 }, () => {
  it("shows of a sound app that it gates, narrows, is killed and keeps to itself", async () => {
    const { verify, row, before } = await setUp();
    const { code, shown, step, err } = await verify();
    expect(shown?.steps.map(({ step: name, ok }) => [name, ok])).toEqual([
      ["reachable", true],
      ["gating", true],
      ["narrowing", true],
      ["kill", true],
      ["isolation", true],
    ]);
    expect({ code, err, ok: shown?.ok }).toEqual({ code: 0, err: "", ok: true });
    expect(step("gating")?.figures).toMatchObject({ subjects: 1002, percent: 40, changed: 0 });
    expect(step("gating")?.sql).toContain("sha256(convert_to('p3_advisory' || ':' || subject");
    const admitted = Number(step("gating")?.figures["admitted"]);
    expect(admitted).toBeGreaterThan(300);
    expect(admitted).toBeLessThan(500);
    expect(step("narrowing")?.figures).toMatchObject({ percent: 20, before: admitted, added: 0 });
    expect(step("kill")?.figures).toMatchObject({ aiAfter: 0, failed: 0 });
    expect(Number(step("kill")?.figures["aiBefore"])).toBeGreaterThanOrEqual(100);
    expect(step("kill")?.sql).toBe(
      `UPDATE "public"."p3_feature_state" SET enabled = false, rollout_percent = 0 WHERE feature_name = 'p3_advisory'`,
    );
    expect(step("isolation")?.figures).toEqual({ tables: 1, changed: 0 });
    expect(step("isolation")?.sql).toContain("FROM pg_stat_user_tables");
    expect(await row()).toBe(before);
  });

  it("prints each step as it ends, and the SQL it rests on", async () => {
    const { sluice } = await setUp({ SAMPLE: "no" });
    const { code, out, err } = await sluice(["--skip", "isolation", "--subjects", "80"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const lines = out.trimEnd().split("\n");
    expect(lines.map((line) => line.slice(0, 19).trim())).toEqual([
      "ok      reachable",
      "ok      gating",
      "",
      "ok      narrowing",
      "ok      kill",
      "",
    ]);
    expect(out).toContain("without load: the app gave no sample");
  });

  it("respects the table's allowlist, of any salt, also when it is the empty one", async () => {
    const { verify } = await setUp(
      {},
      "enabled = true, rollout_percent = 60, salt = '', allowlist = '{ann,bob,甲}'",
    );
    const { code, step } = await verify("--skip", "isolation");
    expect(step("gating")?.detail).toMatch(/1,005 subjects .* the allowlist respected \(require\)/);
    expect(step("gating")?.sql).toContain("convert_to(subject, 'UTF8')");
    expect({ code, admitted: Number(step("gating")?.figures["admitted"]) <= 3 }).toEqual({
      code: 0,
      admitted: true,
    });
  });

  it.each([
    ["another salt", "gating", /of \d+ of 1,002 subjects app and database disagree/],
    ["another salt below 40", "narrowing", /^at 20 %: of \d+ of 1,002 subjects/],
    ["deaf to kills", "kill", /^\d+ ms after the commit the app lets \d+ of 100 subjects in$/],
    ["runs are deaf to kills", "kill", /^[\d,]+ runs went by AI after the first refusal$/],
  ] as const)("finds an app with the fault: %s", async (fault, step, detail) => {
    const { verify, row, before } = await setUp({ FAULT: fault });
    const ran = await verify("--skip", "isolation");
    expect(ran.code).toBe(1);
    expect(ran.err).toMatch(/^sluice: not verified: /);
    expect(ran.failed).toContain(step);
    expect(ran.step(step)?.detail).toMatch(detail);
    expect(await row()).toBe(before);
  });

  it("finds an app that writes to a table of the product's", async () => {
    const { verify, row, before } = await setUp({ FAULT: "writes elsewhere" });
    const ran = await verify();
    expect(ran.failed).toEqual(["isolation"]);
    expect(ran.code).toBe(1);
    expect(ran.step("isolation")?.detail).toMatch(/by the app or by others: public.orders \(\d+ /);
    expect(await row()).toBe(before);
  });

  it("puts the row back when it is interrupted", async () => {
    const { untilShut, env, url, row, before } = await setUp({
      FAULT: "deaf to kills",
    });
    const cli = startProcess(cliPath, {
      args: ["verify", feature, "--url", url, "--yes", "--skip", "narrowing"],
      env,
    });
    onTestFinished(async () => void (await cli.kill()));
    await untilShut();
    cli.signal("SIGINT");
    expect(await cli.ended).toEqual({ code: 1, signal: null });
    expect(cli.stderr).toBe("sluice: interrupted; the feature is as it was before\n");
    expect(await row()).toBe(before);
  });

  it("leaves a kill of somebody else's alone, also one that changes no value", async () => {
    const { psql, untilShut, verify, row } = await setUp({
      FAULT: "deaf to kills",
    });
    const verifying = verify("--skip", "narrowing");
    await untilShut();
    await psql("UPDATE p3_feature_state SET enabled = false, rollout_percent = 0");
    const { code, err } = await verifying;
    expect(code).toBe(1);
    expect(err).toBe(
      "sluice: somebody else changed p3_advisory meanwhile, and that is left as it is; before, it was enabled = true, rollout_percent = 40\n",
    );
    expect(await row()).toContain(shut);
  });

  it("says what the row was where it can't be put back", async () => {
    const { psql, untilShut, verify } = await setUp({
      FAULT: "deaf to kills",
    });
    const verifying = verify("--skip", "narrowing");
    await untilShut();
    await psql(
      `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
       CREATE TRIGGER refused BEFORE UPDATE ON p3_feature_state FOR EACH ROW EXECUTE FUNCTION refuse()`,
    );
    const { code, err } = await verifying;
    expect(code).toBe(1);
    expect(err).toBe(
      `sluice: p3_advisory could not be put back and is narrower than it was (enabled = true, rollout_percent = 40); put it back with: UPDATE "public"."p3_feature_state" SET enabled = true, rollout_percent = 40 WHERE feature_name = 'p3_advisory';\n`,
    );
  });

  it("changes nothing of a closed feature, and shows nothing", async () => {
    for (const closed of ["enabled = false", "enabled = true, rollout_percent = 0"]) {
      const { operator, verify } = await setUp({}, closed);
      const audited = async () =>
        (await operator.query("SELECT id, hash FROM p3_flag_audit ORDER BY id")).rows;
      const before = await audited();
      const { code, failed, step } = await verify();
      expect({ code, failed }).toEqual({ code: 1, failed: ["gating"] });
      expect(step("gating")?.detail).toMatch(/^the feature is closed/);
      expect(await audited()).toEqual(before);
    }
  });

  it("refuses a protected feature but for what needs no putting back", async () => {
    const { verify, row, before } = await setUp(
      {},
      "enabled = true, rollout_percent = 40, protected = true",
    );
    const refused = await verify();
    expect(refused).toMatchObject({ code: 5, shown: undefined });
    expect(refused.err).toMatch(
      /^sluice: p3_advisory is protected: .*--skip narrowing --skip kill/,
    );
    const skipping = ["--skip", "narrowing", "--skip", "kill", "--skip", "isolation"];
    expect(await verify(...skipping)).toMatchObject({ code: 0, failed: [] });
    expect(await row()).toBe(before);
  });

  it("asks first, and says in one line what keeps it from asking the app", async () => {
    const { sluice, app, url, env, psql } = await setUp();
    const ran = async (argv: readonly string[], more: Readonly<Record<string, string>>) => {
      const { code, out, err } = await sluice(argv, more);
      return `${code} ${out}${err}`;
    };
    const unasked = startProcess(cliPath, { args: ["verify", feature, "--url", url], env });
    expect(await unasked.ended).toMatchObject({ code: 6 });
    expect(unasked.stderr).toMatch(/^sluice: this widens p3_advisory \(narrowed and shut .*--yes/);

    expect(await ran([], { SLUICE_PROBE_TOKEN: "short" })).toMatch(
      /^2 sluice: no token: SLUICE_PROBE_TOKEN must hold/,
    );
    const wrong = await ran(["--token-env", "OTHER"], { OTHER: "another-token-of-theirs" });
    expect(wrong).toMatch(
      /^1 failed {2}reachable {2}the probe route answers 401: the token in OTHER is not the app's\n/,
    );
    expect(wrong).not.toContain("another-token-of-theirs");
    expect(await ran(["--url", "ftp://x"], {})).toMatch(/^2 sluice: .*http/);
    expect(await ran(["--skip", "gating"], {})).toMatch(/^2 sluice: .*narrowing, kill, isolation/);
    expect(await ran(["--url", url.replace("/probe", "/other")], {})).toMatch(/answers 404/);
    await psql("UPDATE p3_feature_state SET feature_name = 'other'");
    expect(await ran([], {})).toMatch(/^4 sluice: no such feature/);
    await psql("UPDATE p3_feature_state SET feature_name = 'p3_advisory'");
    await app.kill();
    expect(await ran([], {})).toMatch(/^1 failed {2}reachable {2}no answer .*ECONNREFUSED/);
  });
});
