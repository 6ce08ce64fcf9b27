import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readFlagRows } from "./read-flag-rows.ts";

const open = { feature_name: "chat_ai", enabled: true, rollout_percent: 20 };

const read = (row: object) => {
  const found = readFlagRows("public.flags", [row]).get("chat_ai");
  if (found === undefined) throw new Error("not found");
  return found;
};

describe("readFlagRows", () => {
  it("takes neutral values for columns that a table does not have", () => {
    expect(read(open)).toEqual({
      feature: "chat_ai",
      updatedAtMs: undefined,
      flags: {
        enabled: true,
        killed: false,
        percent: 20,
        allowlist: undefined,
        salt: "chat_ai",
        version: undefined,
        problems: [],
      },
    });
  });

  it("reads every column of a table of ours", () => {
    expect(
      read({
        ...open,
        killed: true,
        allowlist: ["ann"],
        salt: "",
        protected: true,
        version: 7,
        updated_at: "2026-01-01T00:00:00+00:00",
      }),
    ).toEqual({
      feature: "chat_ai",
      updatedAtMs: Date.UTC(2026, 0, 1),
      flags: {
        enabled: true,
        killed: true,
        percent: 20,
        allowlist: ["ann"],
        salt: "",
        version: 7,
        problems: [],
      },
    });
  });

  it("takes null in a column of ours for no opinion", () => {
    const { flags } = read({ ...open, allowlist: null, salt: null, version: null });
    expect(flags).toMatchObject({ allowlist: undefined, salt: "chat_ai", problems: [] });
  });

  it.each([
    ["rollout_percent", 101, { percent: 0 }],
    ["rollout_percent", -1, { percent: 0 }],
    ["rollout_percent", 20.5, { percent: 0 }],
    ["rollout_percent", null, { percent: 0 }],
    ["rollout_percent", "20", { percent: 0 }],
    ["enabled", null, { enabled: false }],
    ["enabled", "sentinel", { enabled: false }],
    ["enabled", 1, { enabled: false }],
    ["killed", null, { killed: true }],
    ["killed", "sentinel", { killed: true }],
    ["allowlist", "sentinel", { allowlist: [] }],
    ["allowlist", ["ann", null], { allowlist: [] }],
    ["salt", 5, { percent: 0 }],
  ])(
    "closes a feature whose %s is %j, naming the column and not the value",
    (name, value, safe) => {
      const { flags } = read({ ...open, [name]: value });
      expect(flags).toMatchObject(safe);
      expect(flags.problems.map(({ variable }) => variable)).toEqual([`public.flags.${name}`]);
      expect(JSON.stringify(flags)).not.toContain("sentinel");
    },
  );

  it("closes a feature whose table lacks a column", () => {
    const { flags } = read({ feature_name: "chat_ai", enabled: true });
    expect(flags).toMatchObject({ percent: 0, problems: [{ readAs: "0" }] });
  });

  it("closes a feature that stands in two rows", () => {
    const rows = readFlagRows("public.flags", [open, open]);
    expect(rows.get("chat_ai")?.flags).toMatchObject({
      enabled: false,
      problems: [{ variable: "public.flags.feature_name" }],
    });
  });

  it("leaves rows out that name no feature, and reads the others", () => {
    const rows = readFlagRows("t", [null, 5, { ...open, feature_name: null }, [], open]);
    expect([...rows.keys()]).toEqual(["chat_ai"]);
  });

  it("never opens by a row that is not plainly open, and never throws for one", () => {
    fc.assert(
      fc.property(
        fc.record({
          feature_name: fc.constant("chat_ai"),
          enabled: fc.jsonValue(),
          rollout_percent: fc.jsonValue(),
          killed: fc.jsonValue(),
          allowlist: fc.jsonValue(),
          salt: fc.jsonValue(),
        }),
        (row) => {
          const { flags } = read(row);
          const opens = flags.enabled && !flags.killed && flags.percent > 0;
          const mayOpen = row.enabled === true && row.killed === false;
          expect(opens && !mayOpen).toBe(false);
          expect([0, row.rollout_percent]).toContain(flags.percent);
        },
      ),
    );
  });
});
