import { dayTeller } from "@sluice/policy";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { budgetDay } from "./budget-day.ts";

const hours = (day: string, timeZone: string): number => {
  const found = budgetDay(day, timeZone);
  if (found === undefined) throw new Error("no such day");
  return (found.to.getTime() - found.from.getTime()) / 3_600_000;
};

it("a day begins and ends where it does in its zone", () => {
  expect(budgetDay("2026-11-28", "Europe/Berlin")).toEqual({
    day: "2026-11-28",
    from: new Date("2026-11-27T23:00:00Z"),
    to: new Date("2026-11-28T23:00:00Z"),
  });
  expect(budgetDay("2026-11-28", "UTC")?.from).toEqual(new Date("2026-11-28T00:00:00Z"));
});

it("a day has 23 or 25 hours where the clock is changed", () => {
  expect(hours("2026-03-29", "Europe/Berlin")).toBe(23);
  expect(hours("2026-10-25", "Europe/Berlin")).toBe(25);
  expect(hours("2026-11-28", "Europe/Berlin")).toBe(24);
});

it.each([
  ["2026-02-30", "UTC"],
  ["2026-13-01", "UTC"],
  ["2026-00-00", "UTC"],
  ["0050-01-01", "UTC"],
  ["2026-1-1", "UTC"],
  ["28.11.2026", "UTC"],
  ["today", "UTC"],
  ["", "UTC"],
  // Samoa crossed the date line and left it out.
  ["2011-12-30", "Pacific/Apia"],
])("there is no day %j in %s", (day, timeZone) => {
  expect(budgetDay(day, timeZone)).toBeUndefined();
});

it("is the day that stores count under, from its first millisecond to its last", () => {
  const zones = ["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Kiritimati", "Etc/GMT+12"];
  fc.assert(
    fc.property(
      fc.constantFrom(...zones),
      fc.integer({ min: Date.UTC(2020, 0, 1), max: Date.UTC(2040, 0, 1) }),
      (timeZone, atMs) => {
        const { name } = dayTeller(timeZone)(atMs);
        const found = budgetDay(name, timeZone);
        const [from, to] = [found?.from.getTime() ?? Number.NaN, found?.to.getTime() ?? Number.NaN];
        expect(from).toBeLessThanOrEqual(atMs);
        expect(to).toBeGreaterThan(atMs);
        expect([from - 1, from, to - 1, to].map((ms) => dayTeller(timeZone)(ms).name)).toEqual([
          expect.not.stringMatching(name),
          name,
          name,
          expect.not.stringMatching(name),
        ]);
      },
    ),
    { numRuns: 100 },
  );
});
