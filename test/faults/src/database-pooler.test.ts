import { postgres } from "@sluice/sql";
import { postgresAnswers, postgresForTests } from "@sluice/testkit";
import { describe, expect, it, onTestFinished } from "vitest";
import { killed, opened, openSampleFeature } from "./sample-table.ts";
import { startMember, type Member } from "./start-member.ts";
import { pooler, startPooler } from "./start-pooler.ts";

const skipped = process.env["CI"] !== "true" && (pooler === undefined || !postgresAnswers());
const title = `behind a transaction pooler${skipped ? " (skipped: no PgBouncer, or no server)" : ""}`;

/** As without a setting. */
const limits = { maxStalenessMs: 5000, pollMs: 1000 };

async function setUp() {
  const { connectionString, drop } = postgresForTests();
  onTestFinished(drop);
  const psql = await openSampleFeature(connectionString);
  const through = await startPooler(connectionString);
  return { psql, through };
}

/** Others at work, so that no two statements can count on the same connection of the server's. */
function startOthers(connectionString: string): void {
  const others = postgres({ connectionString, poolSize: 3 });
  const leave = new AbortController();
  const work = async (): Promise<void> => {
    while (!leave.signal.aborted) await others.query("SELECT pg_sleep(random() / 50)");
  };
  const working = Promise.all([work(), work(), work()]);
  onTestFinished(async () => {
    leave.abort();
    await working;
    await others.close();
  });
}

const statesOf = (member: Member): readonly string[] =>
  member.lines().filter((line) => line.startsWith('{"state"'));

// oxlint-disable-next-line vitest/valid-title -- says whether it is skipped
describe.skipIf(skipped)(title, { timeout: 60_000 }, () => {
  it.each([
    ["beside others", startOthers],
    ["alone", () => undefined],
  ])(
    "a process %s finds out that it can't listen, says so once, and goes on by polls",
    async (_, surround) => {
      const { psql, through } = await setUp();
      surround(through);
      const member = await startMember(through, limits);
      await member.untilPath("ai");
      await member.untilTold({ state: "polling", code: "NOT_LISTENING" });
      const states = statesOf(member);
      psql(killed);
      await member.untilPath("KILLED");
      psql(opened);
      await member.untilPath("ai");
      await member.untilServed(1000);
      expect(statesOf(member)).toEqual(states);
      expect(member.process.stderr).toBe("");
    },
  );

  it("I1 a kill comes with the next poll, whatever is heard", async () => {
    const { psql, through } = await setUp();
    const member = await startMember(through, limits);
    await member.untilPath("ai");
    psql(killed);
    const killedAtMs = Date.now();
    await member.untilPath("KILLED");
    const { lastAiAtMs, unserved } = await member.figures();
    expect(lastAiAtMs - killedAtMs).toBeLessThan(2000);
    expect(unserved).toBe(0);
  });
});
