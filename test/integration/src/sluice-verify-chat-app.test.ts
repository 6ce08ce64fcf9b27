import { fileURLToPath } from "node:url";
import { run } from "@sluice/cli";
import { postgres } from "@sluice/sql";
import {
  chatCompletion,
  postgresAnswers,
  postgresForTests,
  runPsql,
  sendJson,
  startProcess,
  startUpstream,
} from "@sluice/testkit";
import { describe, expect, it, onTestFinished } from "vitest";

const main = fileURLToPath(new URL("../../../apps/chat-express/src/main.ts", import.meta.url));
const token = "a-token-of-the-probe";

interface Shown {
  readonly ok: boolean;
  readonly steps: readonly {
    readonly step: string;
    readonly ok: boolean;
    readonly detail: string;
    readonly figures: Readonly<Record<string, unknown>>;
  }[];
}

/** The chat app as people run it, on a database of its own that also has a table of the product's. */
async function setUp(env: Readonly<Record<string, string>> = {}) {
  const { connectionString, drop } = postgresForTests();
  onTestFinished(drop);
  runPsql(connectionString, "CREATE TABLE orders (id integer); INSERT INTO orders VALUES (1)");
  const app = startProcess(main, {
    env: {
      PORT: "0",
      DATABASE_URL: connectionString,
      FF_CHAT_GATEWAY_ENABLED: "true",
      SLUICE_PROBE_TOKEN: token,
      ...env,
    },
  });
  onTestFinished(async () => void (await app.kill()));
  const [, url = ""] = await app.printed(/^chat-express listens on (\S+)$/m);
  runPsql(connectionString, "UPDATE feature_state SET enabled = true, rollout_percent = 40");
  const row = () =>
    runPsql(
      connectionString,
      "SELECT enabled, rollout_percent, killed, allowlist, salt FROM feature_state",
    );
  const before = row();
  const verify = async (argv: readonly string[], more: Readonly<Record<string, string>> = {}) => {
    let out = "";
    let err = "";
    const code = await run({
      argv: ["verify", "chat_ai", "--url", `${url}/sluice/probe`, "--yes", "--json", ...argv],
      env: { DATABASE_URL: connectionString, SLUICE_PROBE_TOKEN: token, ...more },
      out: (text) => void (out += text),
      err: (text) => void (err += text),
      isTty: false,
      open: (options) => postgres({ ...options, applicationName: "sluice-cli" }),
    });
    const shown = JSON.parse(out) as Shown;
    const step = (name: string) => shown.steps.find((candidate) => candidate.step === name);
    return { code, err, shown, step };
  };
  return { connectionString, app, row, before, verify };
}

const skipped = process.env["CI"] !== "true" && !postgresAnswers();
const title = `sluice verify on the chat app${skipped ? " (skipped: no server answers psql)" : ""}`;

// oxlint-disable-next-line vitest/valid-title -- says whether it is skipped
describe.skipIf(skipped)(title, { timeout: 120_000 }, () => {
  it("shows each step, under load where a run costs nothing, and leaves the row as it was", async () => {
    const { connectionString, app, row, before, verify } = await setUp();
    const { code, err, shown, step } = await verify([]);
    expect(shown.steps.map(({ step: name, ok, detail }) => [name, ok, ok ? "" : detail])).toEqual([
      ["reachable", true, ""],
      ["gating", true, ""],
      ["narrowing", true, ""],
      ["kill", true, ""],
      ["isolation", true, ""],
    ]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    // The process is named as in `sluice doctor`.
    const instance = runPsql(connectionString, "SELECT instance_id FROM sluice_instances");
    expect(step("reachable")?.detail).toContain(instance);
    expect(Number(step("kill")?.figures["aiBefore"])).toBeGreaterThanOrEqual(100);
    expect(step("kill")?.figures).toMatchObject({ aiAfter: 0, failed: 0 });
    expect(step("isolation")?.figures).toEqual({ tables: 1, changed: 0 });
    expect(row()).toBe(before);
    expect(app.stderr).not.toContain(token);
  });

  it("calls no model that costs money, and answers to nobody without its token", async () => {
    const upstream = await startUpstream((res) => sendJson(res, chatCompletion("for money")));
    onTestFinished(() => upstream.close());
    const { row, before, verify } = await setUp({
      OPENAI_API_KEY: "sk-test",
      OPENAI_BASE_URL: `${upstream.url}/v1`,
    });
    const { code, step } = await verify(["--skip", "isolation"]);
    expect(code).toBe(0);
    expect(step("kill")?.detail).toContain("without load: the app gave no sample");
    expect(upstream.requests).toHaveLength(0);
    expect(row()).toBe(before);
    const refused = await verify([], { SLUICE_PROBE_TOKEN: "another-token-of-theirs" });
    expect(refused.code).toBe(1);
    expect(refused.step("reachable")?.detail).toContain("answers 401");
  });
});
