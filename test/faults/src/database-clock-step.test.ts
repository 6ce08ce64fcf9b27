import { createGuard } from "@sluice/guard";
import { functionProvider } from "@sluice/providers";
import { postgres, sqlFlags } from "@sluice/sql";
import {
  FakeClock,
  postgresAnswers,
  postgresForTests,
  sampleAnswer,
  sampleFeature,
} from "@sluice/testkit";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { killed, openSampleFeature } from "./sample-table.ts";

const hourMs = 3_600_000;
const pollMs = 1000;

const skipped = process.env["CI"] !== "true" && !postgresAnswers();
const title = `a clock that steps${skipped ? " (skipped: no server answers psql)" : ""}`;

async function setUp() {
  const { connectionString, drop } = postgresForTests();
  onTestFinished(drop);
  const psql = await openSampleFeature(connectionString);
  const clock = new FakeClock();
  const db = postgres({ connectionString });
  const flags = sqlFlags(db, {
    clock,
    random: () => 0.5,
    exclusive: true,
    // A NOTIFY would come in the machine's own time.
    listen: false,
    pollMs,
  });
  await flags.ready();
  const guard = createGuard({
    ...sampleFeature,
    provider: functionProvider(() => Promise.resolve(sampleAnswer)),
    flags,
    clock,
    sinks: [() => 0],
  });
  onTestFinished(async () => {
    guard.close();
    flags.close();
    await db.close();
  });
  const way = async (): Promise<string> => {
    const outcome = await guard.run({ prompt: "hello" }, { subject: "ann" });
    if (outcome.status === "FAILED") return outcome.failure.code;
    return outcome.status === "SUCCEEDED" ? "ai" : outcome.reason;
  };
  /** The clock goes on to the next poll, whose answer comes in the machine's own time. */
  const polled = async (): Promise<void> => {
    clock.advance(pollMs);
    const sentMs = clock.monotonicMs();
    await vi.waitFor(() => expect(flags.confirmedAt()?.monotonicMs).toBe(sentMs), {
      timeout: 10_000,
      interval: 2,
    });
  };
  return { clock, psql, flags, db, way, polled };
}

// oxlint-disable-next-line vitest/valid-title -- says whether it is skipped
describe.skipIf(skipped)(title, { timeout: 60_000 }, () => {
  it("I9 an hour forward closes the feature until its flags are read again", async () => {
    const { clock, way, polled } = await setUp();
    expect(await way()).toBe("ai");
    clock.stepWall(hourMs);
    expect(await way()).toBe("FLAGS_STALE");
    await polled();
    expect(await way()).toBe("ai");
  });

  it("I1 an hour either way hides no kill from the next poll", async () => {
    for (const step of [hourMs, -hourMs]) {
      const { clock, psql, way, polled } = await setUp();
      clock.stepWall(step);
      psql(killed);
      await polled();
      expect(await way()).toBe("KILLED");
    }
  });

  it("I9 an hour back closes nothing while the table answers, and hides no age when it does not", async () => {
    const { clock, db, way, polled } = await setUp();
    clock.stepWall(-hourMs);
    expect(await way()).toBe("ai");
    await polled();
    expect(await way()).toBe("ai");
    await db.close();
    clock.advance(5000);
    expect(await way()).toBe("ai");
    clock.advance(1);
    expect(await way()).toBe("FLAGS_STALE");
  });
});
