import { setTimeout } from "node:timers/promises";
import { postgresAnswers, postgresForTests } from "@sluice/testkit";
import { describe, expect, it, onTestFinished } from "vitest";
import { killed, openSampleFeature } from "./sample-table.ts";
import { hasty, startMember } from "./start-member.ts";

const skipped = process.env["CI"] !== "true" && !postgresAnswers();
const title = `a frozen process${skipped ? " (skipped: no server answers psql)" : ""}`;

// oxlint-disable-next-line vitest/valid-title -- says whether it is skipped
describe.skipIf(skipped)(title, { timeout: 60_000 }, () => {
  it("I9 that thaws serves no call of a feature that was killed meanwhile, and ends those in flight", async () => {
    const { connectionString, drop } = postgresForTests();
    onTestFinished(drop);
    const psql = await openSampleFeature(connectionString);
    const member = await startMember(connectionString, hasty);
    await member.untilPath("ai");
    await member.untilTold({ state: "listening" });

    const told = member.lines();
    member.process.signal("SIGSTOP");
    psql(killed);
    // Until its flags are too old to be believed: time is what this is about.
    await setTimeout(hasty.maxStalenessMs + 300);
    expect(member.lines()).toEqual(told);
    const thawedAtMs = Date.now();
    member.process.signal("SIGCONT");

    await member.untilPath("KILLED");
    const { ai, lastAiAtMs } = await member.figures();
    expect(lastAiAtMs).toBeLessThan(thawedAtMs);
    expect(await member.untilServed(500)).toMatchObject({ ai, unserved: 0 });
    const aborted = member.lines().filter((line) => line.startsWith('{"aborted"'));
    expect(aborted).toHaveLength(1);
    expect(member.process.stderr).toBe("");
  });
});
