import { describeAdmissionStore, FakeClock } from "@sluice/testkit";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { memoryAdmission, type MemoryAdmissionOptions } from "./memory-admission.ts";

describeAdmissionStore("memoryAdmission", (options, clock) => ({
  store: memoryAdmission({ ...options, clock }),
}));

describe("memoryAdmission", () => {
  it("answers at once", () => {
    const store = memoryAdmission({ toolRate: { count: 1, perMs: 1000 } });
    expect(store.acquire("alice")).not.toBeInstanceOf(Promise);
    expect(store.takeTool?.("alice")).toEqual({ allowed: true });
  });

  it.each([
    [undefined, "memoryAdmission: got nothing, expected a value of type object"],
    [
      { limit: 1 },
      "memoryAdmission.limit: got an unknown option, expected only documented options",
    ],
    [
      { userInFlight: {} },
      "memoryAdmission.userInFlight.limit: got nothing, expected a value of type number",
    ],
    [
      { globalInFlight: { limit: 0 } },
      "memoryAdmission.globalInFlight.limit: got 0, expected at least 1",
    ],
    [
      { globalInFlight: { limit: 1, mode: "on" } },
      `memoryAdmission.globalInFlight.mode: got "on", expected one of "off", "shadow", "enforce"`,
    ],
    [
      { messageRate: { count: 5 } },
      "memoryAdmission.messageRate.perMs: got nothing, expected a value of type number",
    ],
    [
      { toolRate: { count: 0, perMs: 1000 } },
      "memoryAdmission.toolRate.count: got 0, expected at least 1",
    ],
    [
      { toolRate: { count: 1, perMs: 1000, mode: "on" } },
      `memoryAdmission.toolRate.mode: got "on", expected one of "off", "shadow", "enforce"`,
    ],
    [{ leaseMs: 1 }, "memoryAdmission.leaseMs: got 1, expected at least 100"],
    [{ clock: 5 }, "memoryAdmission.clock: got 5, expected a clock"],
  ])("refuses %j by name", (options, message) => {
    expect(() => memoryAdmission(options as MemoryAdmissionOptions)).toThrow(message);
  });

  it("says its dimensions, limits and modes", () => {
    const store = memoryAdmission({
      userInFlight: { limit: 2 },
      globalInFlight: { limit: 10, mode: "shadow" },
      messageRate: { count: 5, perMs: 1000, mode: "off" },
      toolRate: { count: 7, perMs: 2000, burst: 3, mode: "shadow" },
    });
    expect(store.describe()).toEqual([
      "user in-flight 2 (enforce)",
      "global in-flight 10 (shadow)",
      "message rate 5 per 1000 ms, burst 5 (off)",
      "tool rate 7 per 2000 ms, burst 3 (shadow)",
    ]);
    expect(memoryAdmission({}).describe()).toEqual([]);
  });

  it("I12 says that it can't tell where it holds as many leases as it may, and forgets no live one", () => {
    const clock = new FakeClock();
    const store = memoryAdmission({ maxLeases: 2, leaseMs: 1000, clock });
    const first = store.acquire("a");
    expect(store.acquire("b")).toMatchObject({ admitted: true });
    expect(store.acquire("c")).toBe("unavailable");
    if (typeof first !== "object" || !("lease" in first)) throw new Error("not admitted");
    clock.advance(600);
    first.lease.renew();
    clock.advance(600);
    // The second has expired, the first was renewed.
    expect(store.acquire("c")).toMatchObject({ admitted: true });
    expect(store.acquire("d")).toBe("unavailable");
  });

  it("keeps distinct subjects apart, whatever they are made of", () => {
    // Halves of pairs too. fast-check's own unit for it takes seconds before its first string.
    const unit = fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code));
    fc.assert(
      fc.property(fc.uniqueArray(fc.string({ unit }), { maxLength: 20 }), (subjects) => {
        const store = memoryAdmission({ userInFlight: { limit: 1 } });
        const names = [...new Set([...subjects, "__proto__", "constructor", "toString"])];
        const admitted = () =>
          names.filter((name) => {
            const reply = store.acquire(name);
            return typeof reply === "object" && "admitted" in reply && reply.admitted;
          });
        expect(admitted()).toEqual(names);
        expect(admitted()).toEqual([]);
      }),
    );
  });
});
