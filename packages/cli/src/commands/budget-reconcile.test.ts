import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createGuard, staticFlags } from "@sluice/guard";
import { connectRedis, redisAdmission } from "@sluice/redis";
import { migrate, postgres, recordWriter, type SqlDatabase } from "@sluice/sql";
import {
  errorReply,
  FakeClock,
  fakeProvider,
  lacksRedisServer,
  postgresAnswers,
  postgresForTests,
  privateRedis,
  sampleAnswer,
  sampleFeature,
  valueReply,
  type FakeCall,
  type FakeProvider,
  type PrivateRedis,
  type SampleJob,
  type TestPostgres,
} from "@sluice/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { exitCodes } from "../exit-codes.ts";
import { runCaptured, type Captured } from "../run-captured.ts";

const page = readFileSync(new URL("../../../../docs/reference/cli.md", import.meta.url), "utf8");
const skipped = lacksRedisServer() || (process.env["CI"] !== "true" && !postgresAnswers());

const noon = Date.UTC(2026, 10, 28, 12);
const day = "2026-11-28";
const usage = { inputTokens: 30, outputTokens: 12 };
const price = { inputNanoUsdPerToken: 10, outputNanoUsdPerToken: 100 };
const tokens = 42;
const costNanoUsd = 30 * 10 + 12 * 100;
/** What is set aside for a call: its prompt by the provider's counter, and all the output it may have. */
const reserved = { tokens: 40 + 100, costNanoUsd: 40 * 10 + 100 * 100 };
const none = { calls: 0, tokens: 0, costNanoUsd: 0 };

const answeringBy = (reply: Parameters<FakeCall<SampleJob>["reply"]>[0]) => (name: string) =>
  fakeProvider<SampleJob>({
    name,
    model: "priced",
    inputTokens: () => 40,
    onCall: (call) => call.reply(reply),
  });
const answering = answeringBy(valueReply(sampleAnswer, usage));
/** Answers when the test says so. */
const waiting = () =>
  fakeProvider<SampleJob>({ name: "openai", model: "priced", inputTokens: () => 40 });

const figure = (name: string, redis: number, records: number, ok = true) =>
  expect.objectContaining({ figure: name, redis, records, ok }) as unknown;

describe.skipIf(skipped)("budget reconcile", { timeout: 60_000 }, () => {
  let redis: PrivateRedis;
  let server: TestPostgres;
  let db: SqlDatabase;
  let client: ReturnType<typeof connectRedis>;

  beforeAll(async () => {
    redis = await privateRedis();
    client = connectRedis({ url: redis.url, random: () => 0.5 });
    const { promise, resolve } = Promise.withResolvers<void>();
    client.once("ready", resolve);
    await promise;
    server = postgresForTests();
    db = postgres({ connectionString: server.connectionString });
    await migrate(db);
  }, 60_000);
  beforeEach(() => db.exec("TRUNCATE ai_training_examples"));
  afterAll(async () => {
    client.disconnect();
    await redis.remove();
    await db.close();
    server.drop();
  });

  const admissionOf = (namespace: string, clock: FakeClock, timeMs?: () => number) =>
    redisAdmission(
      {
        client,
        clock,
        random: () => 0.5,
        instanceId: randomUUID(),
        namespace,
        secret: "a secret of the tests",
        deadlineMs: 5000,
        timeZone: "Europe/Berlin",
        globalBudget: { calls: 1000, tokens: 1_000_000 },
      },
      timeMs,
    );

  /** A guard whose budget is in Redis and whose records are in SQL. */
  const open = (
    providers: readonly FakeProvider<SampleJob>[],
    { feature = "faq_ai", namespace = `t${randomUUID()}`, wallMs = noon } = {},
  ) => {
    const clock = new FakeClock({ wallMs });
    const admission = admissionOf(namespace, clock);
    const records = recordWriter(db, { clock, random: () => 0.5 });
    const guard = createGuard({
      ...sampleFeature,
      feature,
      route: {
        providers,
        candidates: providers.map((provider) => ({ provider: provider.name })),
        strategy: "failover",
        failover: true,
      },
      flags: staticFlags({ [feature]: { enabled: true } }),
      clock,
      prices: { priced: price },
      budget: { maxOutputTokens: 100 },
      retry: { maxRetries: 0 },
      sinks: [records.sink],
      admission,
    });
    return {
      clock,
      namespace,
      run: () => guard.run({ prompt: "hello" }, { subject: "ann" }),
      /** All that ended is settled and recorded. */
      flush: async () => {
        guard.flush();
        await records.flush();
        await admission.flush();
      },
      close: async () => {
        guard.close();
        await records.close();
        admission.close();
      },
    };
  };

  const env = (): Readonly<Record<string, string>> => ({
    DATABASE_URL: server.connectionString,
    REDIS_URL: redis.url,
  });
  const reconcile = (namespace: string, ...more: readonly string[]): Promise<Captured> =>
    runCaptured(
      [
        "budget",
        "reconcile",
        "--namespace",
        namespace,
        "--day",
        day,
        "--time-zone",
        "Europe/Berlin",
        ...more,
      ],
      { env: env() },
    );
  const json = async (namespace: string, ...more: readonly string[]) => {
    const { code, out, err } = await reconcile(namespace, "--json", ...more);
    return { code, err, value: JSON.parse(out) as Record<string, unknown> };
  };
  it("what a guard let through and recorded is equal, to the nano-dollar", async () => {
    const app = open([answering("openai")]);
    for (let n = 0; n < 5; n += 1) expect(await app.run()).toMatchObject({ status: "SUCCEEDED" });
    await app.flush();
    expect(await json(app.namespace, "--tolerance", "0")).toEqual({
      code: exitCodes.done,
      err: "",
      value: {
        namespace: app.namespace,
        day,
        timeZone: "Europe/Berlin",
        tolerancePercent: 0,
        ok: true,
        figures: [
          figure("calls", 5, 5),
          figure("tokens", 5 * tokens, 5 * tokens),
          figure("costNanoUsd", 5 * costNanoUsd, 5 * costNanoUsd),
        ],
        open: none,
        expired: none,
        features: ["faq_ai"],
        requestsWithoutUsage: 0,
      },
    });
    const { out } = await reconcile(app.namespace);
    expect(out).toMatch(/^day +2026-11-28 Europe\/Berlin$/m);
    expect(out).toMatch(/^features +faq_ai$/m);
    expect(out).toMatch(/^figure +Redis +records +difference +percent +ok$/m);
    expect(out).toMatch(/^tokens +210 +210 +0 +0 +yes$/m);
    expect(out).toMatch(/^reservations +calls +tokens +costNanoUsd$/m);
    await app.close();
  });

  it("a record that is lost is told by the figures that differ, unless it is tolerated", async () => {
    const app = open([answering("openai")]);
    for (let n = 0; n < 4; n += 1) await app.run();
    await app.flush();
    await db.exec(
      "DELETE FROM ai_training_examples WHERE ctid = (SELECT min(ctid) FROM ai_training_examples)",
    );
    const lost = await json(app.namespace);
    expect(lost).toMatchObject({
      code: exitCodes.checkFailed,
      err: "sluice: Redis and the records differ by more than 1 %: tokens, costNanoUsd\n",
      value: {
        ok: false,
        figures: [
          // A request may take many calls, so that there are more of them says nothing.
          { figure: "calls", redis: 4, records: 3, difference: 1, ok: true },
          { figure: "tokens", difference: tokens, percent: 25, ok: false },
          { figure: "costNanoUsd", difference: costNanoUsd, percent: 25, ok: false },
        ],
      },
    });
    expect((await reconcile(app.namespace)).out).toMatch(/^tokens +168 +126 +42 +25 +no$/m);
    expect(await reconcile(app.namespace, "--tolerance", "25")).toMatchObject({ code: 0, err: "" });
    expect(await reconcile(app.namespace, "--tolerance", "24.9")).toMatchObject({ code: 1 });
    await app.close();
  });

  it("a budget that Redis lost in the middle of the day is told by all three figures", async () => {
    const app = open([answering("openai")]);
    for (let n = 0; n < 3; n += 1) await app.run();
    await app.flush();
    await client.flushall();
    await app.run();
    await app.flush();
    expect(await json(app.namespace)).toMatchObject({
      code: exitCodes.checkFailed,
      err: expect.stringContaining("calls, tokens, costNanoUsd") as string,
      value: { figures: [figure("calls", 1, 4, false), { redis: tokens }, { redis: costNanoUsd }] },
    });
    await app.close();
  });

  it("a call that a host turned down costs nothing in either, and is a call of its request", async () => {
    const nothing = { inputTokens: 0, outputTokens: 0 };
    const down = answeringBy(errorReply("PROVIDER_UNAVAILABLE", { usage: nothing }));
    const app = open([down("openai"), answering("custom")]);
    expect(await app.run()).toMatchObject({ status: "SUCCEEDED" });
    await app.flush();
    expect(await json(app.namespace, "--tolerance", "0")).toMatchObject({
      code: exitCodes.done,
      value: { figures: [figure("calls", 2, 1), figure("tokens", tokens, tokens), {}] },
    });
    await app.close();
  });

  it("a call that never left its process is no call in Redis", async () => {
    const unsent = answeringBy(errorReply("PROVIDER_UNAVAILABLE", { dispatched: false }));
    const app = open([unsent("openai"), answering("custom")]);
    expect(await app.run()).toMatchObject({ status: "SUCCEEDED" });
    await app.flush();
    expect(await json(app.namespace, "--tolerance", "0")).toMatchObject({
      code: exitCodes.done,
      value: { figures: [figure("calls", 1, 1), figure("tokens", tokens, tokens), {}] },
    });
    await app.close();
  });

  it("a call that told no usage is charged with its reservation, and its request is named as such", async () => {
    const app = open([answeringBy(valueReply(sampleAnswer))("openai")]);
    await app.run();
    await app.flush();
    expect(await json(app.namespace)).toMatchObject({
      code: exitCodes.checkFailed,
      value: {
        figures: [
          figure("calls", 1, 0),
          figure("tokens", reserved.tokens, 0, false),
          figure("costNanoUsd", reserved.costNanoUsd, 0, false),
        ],
        requestsWithoutUsage: 1,
      },
    });
    await app.close();
  });

  it("a call that runs is set apart until it has ended", async () => {
    const provider = waiting();
    const app = open([provider]);
    const running = app.run();
    await expect.poll(() => provider.calls.length).toBe(1);
    expect(await json(app.namespace, "--tolerance", "0")).toMatchObject({
      code: exitCodes.done,
      value: { open: { calls: 1, ...reserved }, figures: [figure("calls", 0, 0), {}, {}] },
    });
    provider.last().reply(valueReply(sampleAnswer, usage));
    await running;
    await app.flush();
    expect(await json(app.namespace, "--tolerance", "0")).toMatchObject({
      code: exitCodes.done,
      value: { open: none, figures: [figure("calls", 1, 1), {}, {}] },
    });
    await app.close();
  });

  it("a call that nobody settled in time is charged with its prompt, and set apart", async () => {
    const app = open([answering("openai")]);
    await app.run();
    await app.flush();
    // A process that was killed long ago, by Redis' clock, and had a call under way.
    const killed = admissionOf(app.namespace, app.clock, () => 1e12);
    const budget = { inputTokens: 40, outputTokens: 100, minOutputTokens: 1, price };
    expect(await killed.acquire("ben", { budget })).toMatchObject({ admitted: true });
    expect(await json(app.namespace, "--tolerance", "0")).toMatchObject({
      code: exitCodes.done,
      value: {
        expired: { calls: 1, tokens: 40, costNanoUsd: 40 * 10 },
        open: none,
        figures: [figure("calls", 1, 1), figure("tokens", tokens, tokens), {}],
      },
    });
    killed.close();
    await app.close();
  });

  it("features that share a namespace are added up, and another's records are left out when named", async () => {
    const first = open([answering("openai")]);
    const { namespace } = first;
    const second = open([answering("openai")], { feature: "chat_ai", namespace });
    const apart = open([answering("openai")], { feature: "other_ai" });
    for (const app of [first, second, apart]) {
      await app.run();
      await app.flush();
    }
    expect(await json(namespace, "--feature", "faq_ai", "--feature", "chat_ai")).toMatchObject({
      code: exitCodes.done,
      value: { features: ["chat_ai", "faq_ai"], figures: [figure("calls", 2, 2), {}, {}] },
    });
    expect(await json(namespace)).toMatchObject({
      code: exitCodes.checkFailed,
      value: { features: ["chat_ai", "faq_ai", "other_ai"], ok: false },
    });
    expect(await json(namespace, "--feature", "faq_ai")).toMatchObject({
      code: exitCodes.checkFailed,
      value: { features: ["faq_ai"] },
    });
    for (const app of [first, second, apart]) await app.close();
  });

  it("a request over midnight is of the day that it began on, as in Redis", async () => {
    const provider = waiting();
    // 23:59:59 in Berlin.
    const app = open([provider], { wallMs: Date.UTC(2026, 10, 28, 22, 59, 59) });
    const running = app.run();
    await expect.poll(() => provider.calls.length).toBe(1);
    app.clock.advance(2000);
    provider.last().reply(valueReply(sampleAnswer, usage));
    await running;
    await app.flush();
    expect(await json(app.namespace, "--tolerance", "0")).toMatchObject({
      code: exitCodes.done,
      value: { figures: [figure("calls", 1, 1), figure("tokens", tokens, tokens), {}] },
    });
    // By another zone Redis has the same day, and the records another.
    expect(await json(app.namespace, "--time-zone", "Asia/Tokyo")).toMatchObject({
      code: exitCodes.checkFailed,
      value: { figures: [figure("calls", 1, 0), {}, {}] },
    });
    await app.close();
  });

  it("the example of the page is run to the letter, today", async () => {
    const [, example = ""] =
      /`sluice (budget reconcile [^`]+)`/.exec(page.split("\n## Examples\n")[1] ?? "") ?? [];
    const app = open([answering("openai")], { namespace: "faq", wallMs: Date.now() });
    await app.run();
    await app.flush();
    expect(await runCaptured(example.split(" "), { env: env() })).toMatchObject({
      code: exitCodes.done,
      err: "",
    });
    await app.close();
  });

  it("a day of which Redis has no budget is not found", async () => {
    const ran = await reconcile("nobody");
    expect(ran).toMatchObject({ code: exitCodes.notFound, out: "" });
    expect(ran.err).toMatch(
      /^sluice: no budget of 2026-11-28 in Redis under the namespace "nobody": .*\n$/,
    );
  });

  it("what is not as a store writes it fails the check, and another kind of key is refused", async () => {
    await client.hset(`{adm:odd:0}:day:${day}`, { c: "many" });
    const odd = await reconcile("odd");
    expect(odd).toMatchObject({ code: exitCodes.checkFailed, out: "" });
    expect(odd.err).toBe("sluice: the day's budget in Redis is not as a store writes it\n");
    await client.set(`{adm:kind:0}:day:${day}`, "anna");
    const kind = await reconcile("kind");
    expect(kind).toMatchObject({ code: exitCodes.refused, out: "" });
    expect(kind.err).toMatch(/^sluice: refused by Redis: WRONGTYPE .*\n$/);
  });

  it("a database without our tables is told after Redis was read", async () => {
    const app = open([answering("openai")]);
    await app.run();
    await app.flush();
    const ran = await reconcile(app.namespace, "--prefix", "no_");
    expect(ran).toMatchObject({ code: exitCodes.notFound, out: "" });
    expect(ran.err).toMatch(/^sluice: .*sluice migrate.*\n$/);
    await app.close();
  });
});
