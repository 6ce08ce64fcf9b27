import {
  findPostgresBin,
  freePort,
  privatePostgres,
  runPsql,
  type PrivatePostgres,
} from "@sluice/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { killed, opened, openSampleFeature } from "./sample-table.ts";
import { hasty, startMember, type Member } from "./start-member.ts";

/** What a busy machine may take from a look at the age to the call. */
const scheduledMs = 250;

/** The safe path goes on, no call fails, and nothing is told call by call. */
async function expectQuiet(member: Member): Promise<void> {
  const told = member.lines();
  const { ai } = await member.figures();
  const after = await member.untilServed(500);
  expect(after).toMatchObject({ ai, unserved: 0 });
  expect(after.oldestAiMs).toBeLessThan(hasty.maxStalenessMs + scheduledMs);
  expect(member.lines()).toEqual(told);
  expect(member.process.stderr).toBe("");
}

const skipped = process.env["CI"] !== "true" && findPostgresBin() === undefined;
const title = `flags in a database${skipped ? " (skipped: no PostgreSQL server is installed)" : ""}`;

// oxlint-disable-next-line vitest/valid-title -- says whether it is skipped
describe.skipIf(skipped)(title, { timeout: 60_000 }, () => {
  let server: PrivatePostgres;
  let psql: (statement: string) => string;
  beforeAll(async () => {
    server = await privatePostgres();
    psql = await openSampleFeature(server.connectionString);
  }, 60_000);
  beforeEach(() => void psql(opened));
  afterAll(() => server.remove());

  const serving = async (): Promise<Member> => {
    const member = await startMember(server.connectionString, hasty);
    await member.untilPath("ai");
    await member.untilTold({ state: "listening" });
    return member;
  };

  it.each(["stop", "kill9"] as const)(
    "I9 that ends by %s close the feature when they grow stale, and open it once it is back",
    async (end) => {
      const member = await serving();
      const before = member.lines().length;
      await server[end]();
      await member.untilPath("FLAGS_STALE");
      await member.untilTold({ aborted: "FLAGS_STALE" });
      await expectQuiet(member);
      const told = member.lines().slice(before);
      expect(told.filter((line) => line.startsWith('{"state":"unreachable"'))).toHaveLength(1);
      // A server that is killed is first seen to go, then not to come: each part may say so twice.
      expect(told.length).toBeLessThanOrEqual(8);

      await server.start();
      await member.untilPath("ai");
      await member.untilTold({ state: "listening" });
      expect((await member.figures()).unserved).toBe(0);
    },
  );

  it("I1 that is killed while nobody sees it is never served again when it is back", async () => {
    const member = await serving();
    await server.stop();
    await member.untilPath("FLAGS_STALE");
    const { ai } = await member.figures();
    const unseen = new URL(server.connectionString);
    unseen.port = String(await freePort());
    await server.start({ port: Number(unseen.port) });
    runPsql(unseen.href, killed);
    await server.stop();
    await server.start();
    await member.untilPath("KILLED");
    expect(await member.untilServed(500)).toMatchObject({ ai, unserved: 0 });
  });

  it("I9 that comes back as a hot standby stay unconfirmed until it is promoted", async () => {
    const member = await serving();
    await server.stop();
    await member.untilPath("FLAGS_STALE");
    await server.start({ standby: true });
    await expectQuiet(member);
    await server.promote();
    await member.untilPath("ai");
  });

  it("I9 that answers as a hot standby from the start are believed by nobody, and it says why", async () => {
    await server.stop();
    await server.start({ standby: true });
    const member = await startMember(server.connectionString, hasty);
    await member.untilTold({ state: "unreachable", code: "STANDBY" });
    await member.untilPath("FLAGS_STALE");
    await expectQuiet(member);
    await server.promote();
    await member.untilPath("ai");
    psql(killed);
    await member.untilPath("KILLED");
  });
});
