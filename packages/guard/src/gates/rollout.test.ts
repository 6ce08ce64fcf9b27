import { fakeProvider, sampleFeature, type SampleJob } from "@sluice/testkit";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createGuard, staticFlags } from "../index.ts";

function rolledOut() {
  const flags = staticFlags({ sample_ai: { enabled: true } });
  const guard = createGuard({
    ...sampleFeature,
    provider: fakeProvider<SampleJob>(),
    flags,
    sinks: [() => 0],
  });
  /** Whether the subject is let in at the percentage. */
  const passes = async (subject: string, percent: number): Promise<boolean> => {
    flags.set("sample_ai", { percent });
    const decision = await guard.decide({ prompt: "p" }, { subject });
    guard.giveUp(decision);
    return decision.effect === "allow";
  };
  return { guard, flags, passes };
}

describe("the rollout", () => {
  it("I10 lets in exactly the subjects whose bucket is below the percentage", async () => {
    const { passes } = rolledOut();
    // By `printf sample_ai:<subject> | sha256sum`: the first 8 digits, modulo 100.
    const buckets = { alice: 79, bob: 85, carol: 30, dave: 97 };
    for (const [subject, bucket] of Object.entries(buckets)) {
      expect(await passes(subject, bucket), subject).toBe(false);
      expect(await passes(subject, bucket + 1), subject).toBe(true);
    }
  });

  it("I10 drops nobody as it widens, and has the same cohort after a kill and its end", async () => {
    const { passes, flags, guard } = rolledOut();
    await fc.assert(
      fc.asyncProperty(
        fc.string({ minLength: 1, maxLength: 40 }),
        fc.uniqueArray(fc.integer({ min: 0, max: 100 }), { maxLength: 8 }),
        async (subject, percents) => {
          const rising = percents.toSorted((a, b) => a - b);
          const before: boolean[] = [];
          for (const percent of rising) before.push(await passes(subject, percent));
          const passed = before.map(Number);
          expect(passed).toEqual(passed.toSorted((a, b) => a - b));
          flags.set("sample_ai", { killed: true });
          for (const percent of rising) expect(await passes(subject, percent)).toBe(false);
          flags.set("sample_ai", { killed: false });
          guard.kill();
          guard.restore();
          for (const [index, percent] of rising.entries()) {
            expect(await passes(subject, percent)).toBe(before[index]);
          }
        },
      ),
    );
  });

  it.each([
    ["empty", ""],
    ["with NUL", "a\0b"],
    ["with a lone surrogate", "a\u{d800}"],
    ["longer than 1 KiB", "x".repeat(1025)],
    ["longer than 1 KiB in UTF-8", "é".repeat(513)],
    ["no text", 5 as never],
    ["not there", undefined as never],
  ])("never lets a subject in that is %s, also at 100 %%", async (_, subject) => {
    const { passes } = rolledOut();
    expect(await passes(subject, 100)).toBe(false);
  });

  it("lets in subjects of 1 KiB, and of every script", async () => {
    const { passes } = rolledOut();
    for (const subject of ["x".repeat(1024), "é".repeat(512), "名前", "🧪", " "]) {
      expect(await passes(subject, 100), subject.slice(0, 5)).toBe(true);
    }
  });
});
