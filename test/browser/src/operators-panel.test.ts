import { fileURLToPath } from "node:url";
import {
  chatCompletion,
  faultyProxy,
  postgresAnswers,
  postgresForTests,
  runPsql,
  sendJson,
  startProcess,
  startUpstream,
} from "@sluice/testkit";
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { findChromium } from "./find-chromium.ts";

const executablePath = findChromium();
const inCi = process.env["CI"] === "true";
const main = fileURLToPath(new URL("../../../apps/chat-express/src/main.ts", import.meta.url));

/** Of another process, a minute ago; the latencies are 100 ms 90 times and 2000 ms 10 times. */
const windows = `
  INSERT INTO metric_windows
    (window_start, feature, arm, provider, instance_id, outcomes, http, admission, latency_ms)
  SELECT to_timestamp(floor(extract(epoch FROM now()) / 10) * 10 - 60), 'chat_ai', arm, provider, 'other',
    outcomes::jsonb, http::jsonb, admission::jsonb, latency::jsonb
  FROM (VALUES
    ('ai', 'openai', '{"SUCCEEDED": 1075, "FAILED": 25}', '{"200": 1075, "502": 25}',
      '{"allow": 1090, "would_reject.MESSAGE_RATE": 10}', '{"p231": 990, "p381": 110}'),
    ('none', '', '{"REJECTED": 1}', '{"401": 3, "429": 1}', '{"reject.USER_IN_FLIGHT": 1}', '{}')
  ) AS rows (arm, provider, outcomes, http, admission, latency)`;
const open = "UPDATE feature_state SET enabled = true, rollout_percent = 25, killed = false";

/** What stands beside a word of the list. */
const beside = (page: Page, term: string) => page.locator(`dt:text-is("${term}") + dd`);
const untilBeside = (page: Page, term: string, text: string | RegExp): Promise<void> =>
  beside(page, term).filter({ hasText: text }).waitFor();

/** What the table holds, cell by cell. */
const cells = (page: Page): Promise<string[]> =>
  page.locator("#figures tbody tr > *").allInnerTexts();

/** Run in the page: the worst ratio of a text's luminance to its ground's, as WCAG 2 has it. */
const worstContrast = `(() => {
  const luminance = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).map((part) => {
      const share = Number(part) / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const panel = document.querySelector("aside");
  const ground = luminance(getComputedStyle(panel).backgroundColor);
  return Math.min(...Array.from(panel.querySelectorAll("*"), (part) => {
    const text = luminance(getComputedStyle(part).color);
    return (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
  }));
})()`;

/** Run in the page: what is wider inside than it is. */
const overflowing = `
  Array.from(document.querySelectorAll("html, aside, #figures, aside td, aside dd"))
    .filter((part) => part.scrollWidth > part.clientWidth)
    .map((part) => part.tagName + "#" + part.id)`;

/** Run in the page: the left and right edges of all cells. */
const edgesOfCells = `
  Array.from(document.querySelectorAll("#figures tr > *"), (cell) => cell.getBoundingClientRect())
    .flatMap(({ left, right }) => [left, right])`;

// Where there is no Chromium the suite is skipped, but never where everything is to be checked.
const skipped = !inCi && (executablePath === undefined || !postgresAnswers());
describe.skipIf(skipped)("the panel for operators", { timeout: 60_000 }, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await chromium.launch({
      executablePath: executablePath ?? "chromium",
      args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
    });
  }, 30_000);
  afterAll(async () => {
    await browser.close();
  });

  async function opened(env: Readonly<Record<string, string>>) {
    const upstream = await startUpstream((res) => sendJson(res, chatCompletion("Every day.")));
    const app = startProcess(main, {
      env: {
        PORT: "0",
        FF_CHAT_GATEWAY_ENABLED: "true",
        OPENAI_API_KEY: "sk-test",
        OPENAI_BASE_URL: `${upstream.url}/v1`,
        ...env,
      },
    });
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    onTestFinished(async () => {
      await page.close();
      await app.kill();
      await upstream.close();
    });
    const complaints: string[] = [];
    page.on("pageerror", (error) => complaints.push(error.message));
    const [, url = ""] = await app.printed(/listens on (\S+)/);
    await page.goto(url);
    return { page, complaints };
  }

  it("shows how each arm did, what the flag says, and who has heard of a kill", async () => {
    const { connectionString, drop } = postgresForTests();
    onTestFinished(drop);
    const { page, complaints } = await opened({ DATABASE_URL: connectionString });
    await untilBeside(page, "It says", /^off, version 1$/);
    await page.getByText("Nothing was counted.").waitFor();
    expect(await page.locator("#figures").isVisible()).toBe(false);

    runPsql(connectionString, `${open}; ${windows}`);
    await untilBeside(page, "It says", /^on at 25 %, version 2$/);
    await untilBeside(page, "It comes from", "the table feature_state (DATABASE_URL)");
    await untilBeside(page, "This process", /^follows version 2, confirmed \d\.\d s ago$/);
    await page.getByRole("heading", { name: "The last 10 minutes" }).waitFor();
    await untilBeside(page, "The fleet", /^1 of 1 process follows version 2, the last [\d,]+ m?s /);
    await page
      .getByText("or else in the environment of this process. They can't be changed from here.")
      .waitFor();
    expect(await page.getByRole("switch").count()).toBe(0);
    expect(await page.locator("#switches .stands").allTextContents()).toEqual([
      "On",
      ...Array.from({ length: 9 }, () => "Off"),
    ]);
    await page.getByRole("region", { name: "By arm and provider" }).waitFor();
    const [name, requests, succeeded, p50, p95, ...others] = await cells(page);
    expect([name, requests, succeeded]).toEqual(["AI\nopenai", "1,100", "97.7 %"]);
    expect(Math.abs(Number(p50) / 100 - 1)).toBeLessThanOrEqual(0.02);
    expect(Math.abs(Number(p95?.replace(",", "")) / 2000 - 1)).toBeLessThanOrEqual(0.02);
    expect(others).toEqual([
      "Admission: allowed 1,090, would refuse (MESSAGE_RATE) 10\nHTTP: 200 × 1,075, 502 × 25",
      "Before the gates",
      "4",
      "–",
      "–",
      "–",
      "Admission: refused (USER_IN_FLIGHT) 1\nHTTP: 401 × 3, 429 × 1",
    ]);

    runPsql(
      connectionString,
      `INSERT INTO feature_state (feature_name, enabled, rollout_percent)
       VALUES ('ff_chat_gateway_shadow', true, 100)`,
    );
    await page.getByText("Shadow. The old handler answers.").waitFor();

    await page.getByRole("button", { name: "Kill the AI path" }).click();
    await untilBeside(page, "It says", /^killed, version 3$/);
    await untilBeside(page, "This process", /^follows version 3, .*shut by KILLED$/);
    await untilBeside(page, "The fleet", /^1 of 1 process follows version 3/);
    // A process that has not heard of it.
    runPsql(
      connectionString,
      `INSERT INTO sluice_instances (instance_id, application_name, applied, lag_ms)
       VALUES ('deaf', 'chat-express', '{"chat_ai": {"version": 2, "at": "2026-01-01T00:00:00Z"}}', 0)`,
    );
    await untilBeside(page, "The fleet", /^1 of 2 processes follow version 3/);
    expect(await beside(page, "The fleet").getAttribute("class")).toBe("behind");
    expect(await page.evaluate<number>(worstContrast)).toBeGreaterThanOrEqual(4.5);
    expect(complaints).toEqual([]);
  });

  it("fits a small screen, and is reached by keyboard", async () => {
    const { connectionString, drop } = postgresForTests();
    onTestFinished(drop);
    const { page } = await opened({ DATABASE_URL: connectionString });
    await untilBeside(page, "It says", "off");
    runPsql(connectionString, `${open}; ${windows}`);
    await page.getByRole("region", { name: "By arm and provider" }).waitFor();
    await page.setViewportSize({ width: 360, height: 640 });
    expect(await page.evaluate<string[]>(overflowing)).toEqual([]);
    const edges = await page.evaluate<number[]>(edgesOfCells);
    expect(edges.length).toBeGreaterThan(20);
    expect(Math.min(...edges)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...edges)).toBeLessThanOrEqual(360);

    await page.getByRole("link", { name: "For operators" }).focus();
    await page.keyboard.press("Enter");
    await page.locator("aside:focus").waitFor();
    expect(Number((await page.locator("aside").boundingBox())?.y)).toBeLessThan(640);
    await page.keyboard.press("Tab");
    await page.locator("#figures:focus").waitFor();
  });

  it("says what it can't know while the database is away, and knows it again", async () => {
    const { connectionString, drop } = postgresForTests();
    onTestFinished(drop);
    const direct = new URL(connectionString);
    const proxy = await faultyProxy({ port: Number(direct.port || 5432) });
    onTestFinished(() => proxy.close());
    const { page, complaints } = await opened({
      DATABASE_URL: Object.assign(new URL(connectionString), { port: String(proxy.port) }).href,
    });
    await untilBeside(page, "The fleet", "1 of 1 process follows version 1");
    await proxy.cut();
    await page.getByText("No figures: the database can't be read.").waitFor();
    await untilBeside(page, "The fleet", /^not known$/);
    await untilBeside(
      page,
      "This process",
      /can't confirm it now: ECONNREFUSED, shut by FLAGS_STALE$/,
    );
    await proxy.restore();
    await untilBeside(
      page,
      "This process",
      /^follows version 1, confirmed \d\.\d s ago, shut by FLAG_OFF$/,
    );
    await untilBeside(page, "The fleet", "1 of 1 process follows version 1");
    expect(complaints).toEqual([]);
  });

  it("shows the flag of a file, and says where figures would come from", async () => {
    const { page, complaints } = await opened({});
    await untilBeside(page, "It comes from", "the file flags.env");
    await untilBeside(page, "It says", /^on at 100 %$/);
    await page.getByText("The switches stand in the file flags.env;").waitFor();
    await untilBeside(page, "This process", /^follows it, confirmed \d\.\d s ago$/);
    await page.getByText("Start the app with SLUICE_FOLDER or DATABASE_URL").waitFor();
    expect(await page.locator("#figures").isVisible()).toBe(false);
    expect(complaints).toEqual([]);
  });
});
