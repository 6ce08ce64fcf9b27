import { describe, expect, it } from "vitest";
import { dayTeller } from "./day.ts";

describe("dayTeller", () => {
  it("names the day of the zone and says when it ends", () => {
    const tell = dayTeller("Europe/Berlin");
    const at = Date.UTC(2026, 10, 28, 22, 59, 59, 999);
    expect(tell(at)).toEqual({ name: "2026-11-28", endsMs: Date.UTC(2026, 10, 28, 23) });
    expect(tell(at + 1)).toEqual({ name: "2026-11-29", endsMs: Date.UTC(2026, 10, 29, 23) });
  });

  it.each([
    ["23", Date.UTC(2026, 2, 29, 3), Date.UTC(2026, 2, 29, 22)],
    ["25", Date.UTC(2026, 9, 25, 3), Date.UTC(2026, 9, 25, 23)],
  ])("knows a day of %s hours", (_hours, at, endsMs) => {
    expect(dayTeller("Europe/Berlin")(at).endsMs).toBe(endsMs);
  });

  it("goes back with the clock", () => {
    const tell = dayTeller("UTC");
    expect(tell(Date.UTC(2026, 0, 2)).name).toBe("2026-01-02");
    expect(tell(Date.UTC(2026, 0, 2) - 1).name).toBe("2026-01-01");
    expect(tell(Date.UTC(2026, 0, 2)).name).toBe("2026-01-02");
  });

  it("refuses what is no time zone", () => {
    expect(() => dayTeller("Mars/Olympus")).toThrow(RangeError);
  });
});
