import { beforeAll, describe, expect, it } from "vitest";
import { failingChecks, type Check } from "./conformance.ts";

/**
 * Holds a suite against implementations with one planted fault each: the right one passes, every wrong
 * one fails, and each check is failed by one of them, so none is there for show.
 */
export function describePlantedFaults<Subject, Fault extends string>(suite: {
  readonly name: string;
  readonly checks: readonly Check<Subject>[];
  readonly faults: readonly Fault[];
  readonly planted: (fault?: Fault) => Subject;
}): void {
  // oxlint-disable-next-line vitest/valid-title -- the suite's name is an argument
  describe(suite.name, () => {
    const failing = new Map<Fault, readonly string[]>();

    beforeAll(async () => {
      for (const fault of suite.faults) {
        failing.set(fault, await failingChecks(suite.checks, suite.planted(fault)));
      }
    }, 60_000);

    it.each(suite.checks)("passes what is right: $name", async (check) => {
      await expect(Promise.resolve(check.run(suite.planted()))).resolves.toBeUndefined();
    });

    it.each(suite.faults)("fails the fault: %s", (fault) => {
      expect(failing.get(fault)).not.toEqual([]);
    });

    it("has no check that no fault fails", () => {
      const failed = new Set([...failing.values()].flat());
      const never = suite.checks.map((check) => check.name).filter((name) => !failed.has(name));
      expect(never).toEqual([]);
    });
  });
}
