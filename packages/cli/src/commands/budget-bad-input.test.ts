import { lacksRedisServer, privateRedis, type PrivateRedis } from "@sluice/testkit";
import { describe, expect, it, onTestFinished } from "vitest";
import { exitCodes } from "../exit-codes.ts";
import { runCaptured } from "../run-captured.ts";

const password = "pa55word";
// Nothing connects before Redis has answered.
const DATABASE_URL = `postgresql://me:${password}@127.0.0.1:1/x`;

const reconcile = (env: Readonly<Record<string, string>>, ...more: readonly string[]) =>
  runCaptured(["budget", "reconcile", "--namespace", "faq", ...more], {
    env: { DATABASE_URL, ...env },
  });

async function expectFailure(
  ran: ReturnType<typeof runCaptured>,
  code: number,
  line: RegExp,
): Promise<void> {
  const { err, ...rest } = await ran;
  expect({ ...rest, err }).toMatchObject({ code, out: "" });
  expect(err).toMatch(/^sluice: .*\n$/);
  expect(err).toMatch(line);
  expect(err).not.toContain(password);
}

const nowhere = `redis://me:${password}@127.0.0.1:1`;

describe("budget reconcile, asked wrongly", () => {
  it.each([
    [["--day", "yesterday"], /--day: got "yesterday", expected a day of UTC as 2026-11-28/],
    [["--day", "2026-02-30"], /--day: got "2026-02-30"/],
    [["--time-zone", "Mars/Olympus"], /--time-zone.*"Mars\/Olympus".*Europe\/Berlin/],
    [["--tolerance", "-1"], /--tolerance.*0 to 100/],
    [["--tolerance", "101"], /--tolerance.*0 to 100/],
    [["--tolerance", "1e1"], /--tolerance.*0 to 100/],
    [["--feature", "\0"], /--feature.*NUL/],
    [["--secret", "x"], /unknown option '--secret'/],
  ])("%j is wrong usage, and the line names the option", async (more, line) => {
    await expectFailure(reconcile({ REDIS_URL: nowhere }, ...more), exitCodes.usage, line);
  });

  it("without a namespace, a Redis or a database it is wrong usage", async () => {
    const bare = runCaptured(["budget", "reconcile"]);
    await expectFailure(bare, exitCodes.usage, /--namespace/);
    await expectFailure(reconcile({}), exitCodes.usage, /no Redis: give --redis-url or REDIS_URL/);
    await expectFailure(reconcile({ REDIS_URL: "" }), exitCodes.usage, /no Redis/);
    const redisAlone = runCaptured(["budget", "reconcile", "--namespace", "faq"], {
      env: { REDIS_URL: nowhere },
    });
    await expectFailure(redisAlone, exitCodes.usage, /no database: give --database-url/);
  });

  it.each([`${password}@host`, `http://me:${password}@host`, `redis://me:${password}@host:port`])(
    "a URL that is none is not shown",
    async (url) => {
      await expectFailure(reconcile({ REDIS_URL: url }), exitCodes.usage, /URL \(not shown\)/);
      await expectFailure(reconcile({}, "--redis-url", url), exitCodes.usage, /URL \(not shown\)/);
    },
  );

  it.each([nowhere, `redis://me:${password}@nowhere.invalid`])(
    "a Redis that can't be reached is told without its password",
    async (url) => {
      await expectFailure(
        reconcile({ REDIS_URL: url }),
        exitCodes.unreachable,
        /^sluice: Redis can't be reached: .*(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN)/,
      );
    },
  );
});

async function open(settings: Readonly<Record<string, string | number>>): Promise<PrivateRedis> {
  const redis = await privateRedis({ settings });
  onTestFinished(() => redis.remove());
  return redis;
}

const withPassword = ({ url }: PrivateRedis, text: string): string =>
  url.replace("redis://", `redis://:${text}@`);

describe.skipIf(lacksRedisServer())("budget reconcile, kept out of Redis", () => {
  it("a wrong password, or none, is told without it", async () => {
    const redis = await open({ requirepass: "right" });
    const wrong = reconcile({ REDIS_URL: withPassword(redis, password) });
    await expectFailure(wrong, exitCodes.unreachable, /Redis can't be reached: WRONGPASS/);
    const bare = reconcile({ REDIS_URL: redis.url });
    await expectFailure(bare, exitCodes.unreachable, /Redis can't be reached: NOAUTH/);
    const right = reconcile({ REDIS_URL: withPassword(redis, "right") });
    await expectFailure(right, exitCodes.notFound, /no budget of/);
  });

  it("a database that Redis does not have is told, and another is not read instead", async () => {
    const redis = await open({});
    const other = reconcile({ REDIS_URL: `${redis.url}/99` });
    await expectFailure(other, exitCodes.unreachable, /Redis can't be reached: ERR .*index/);
  });

  it("a user without rights is refused", async () => {
    const redis = await open({});
    await redis.cli("acl", "setuser", "me", "on", `>${password}`, "+@all", "-hgetall", "~*");
    const url = redis.url.replace("redis://", `redis://me:${password}@`);
    const ran = reconcile({ REDIS_URL: url });
    await expectFailure(ran, exitCodes.refused, /refused by Redis: NOPERM .*hgetall/);
  });
});
