import type { Attributes } from "@sluice/contract";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileAllowlist } from "./allowlist.ts";

const maths = { subject: "maths", board: "aqa", specVersion: "2026", kind: "practice" };

describe("an allowlist of ids", () => {
  const permits = compileAllowlist(["alice", "böb", "constructor"]);

  it("permits who is on it, by the whole id", () => {
    expect(permits("alice", undefined)).toBe(true);
    expect(permits("böb", undefined)).toBe(true);
    expect(permits("alic", undefined)).toBe(false);
    expect(permits("Alice", undefined)).toBe(false);
    expect(permits("alice ", undefined)).toBe(false);
  });

  it("tells the two normal forms of an id apart, as SQL does", () => {
    expect(permits("bo\u0308b", undefined)).toBe(false);
  });

  it("knows no id that it inherits", () => {
    expect(permits("toString", undefined)).toBe(false);
    expect(permits("__proto__", undefined)).toBe(false);
    expect(permits("constructor", undefined)).toBe(true);
  });

  it("permits nobody when it is empty", () => {
    fc.assert(
      fc.property(fc.string(), fc.object(), (subject, attributes) => {
        expect(compileAllowlist([])(subject, attributes as Attributes)).toBe(false);
      }),
    );
  });

  it("permits no subject that can never be eligible, though it be listed", () => {
    const listed = ["", "a\0", "\ud800", "x".repeat(1025)];
    const matches = compileAllowlist([...listed, { kind: "practice" }]);
    for (const subject of listed) expect(matches(subject, { kind: "practice" })).toBe(false);
  });
});

describe("a rule over attributes", () => {
  const permits = compileAllowlist([maths]);

  it("permits when every condition holds", () => {
    expect(permits("job-1", { ...maths, more: "things" })).toBe(true);
  });

  it("does not permit when one condition does not hold or is missing", () => {
    for (const name of Object.keys(maths)) {
      expect(permits("job-1", { ...maths, [name]: "other" }), name).toBe(false);
      expect(permits("job-1", { ...maths, [name]: undefined }), name).toBe(false);
      const without = Object.fromEntries(Object.entries(maths).filter(([key]) => key !== name));
      expect(permits("job-1", without), name).toBe(false);
    }
  });

  it("permits any of several values", () => {
    const either = compileAllowlist([{ board: ["aqa", "ocr"] }]);
    expect(either("job-1", { board: "ocr" })).toBe(true);
    expect(either("job-1", { board: "edexcel" })).toBe(false);
  });

  it("permits nobody through an empty list of values", () => {
    expect(compileAllowlist([{ board: [] }])("job-1", { board: "aqa" })).toBe(false);
  });

  it("permits nobody through a rule without conditions", () => {
    expect(compileAllowlist([{}])("job-1", {})).toBe(false);
    expect(compileAllowlist([{}])("job-1", maths)).toBe(false);
  });

  it("compares by type and value", () => {
    const one = compileAllowlist([{ tier: 1 }, { beta: true }]);
    expect(one("job-1", { tier: 1 })).toBe(true);
    expect(one("job-1", { tier: "1" })).toBe(false);
    expect(one("job-1", { beta: "true" })).toBe(false);
    expect(one("job-1", { beta: 1 })).toBe(false);
    expect(one("job-1", { tier: [1] })).toBe(false);
  });

  it("is one of several rules, of which any may permit", () => {
    const any = compileAllowlist(["alice", { board: "aqa" }, { board: "ocr", kind: "exam" }]);
    expect(any("alice", undefined)).toBe(true);
    expect(any("bob", { board: "ocr", kind: "exam" })).toBe(true);
    expect(any("bob", { board: "ocr" })).toBe(false);
  });

  it("does not see an inherited attribute", () => {
    const inherited = Object.create({ ...maths }) as Attributes;
    expect(inherited["board"]).toBe("aqa");
    expect(permits("job-1", inherited)).toBe(false);
  });

  it("is not met by attributes that a polluted prototype adds to every object", () => {
    const polluted = Object.prototype as Record<string, unknown>;
    try {
      Object.assign(polluted, maths);
      expect(permits("job-1", {})).toBe(false);
      // A rule compiled meanwhile has its own conditions only.
      expect(compileAllowlist([{ kind: "exam" }])("job-1", { kind: "exam" })).toBe(true);
    } finally {
      for (const name of Object.keys(maths)) delete polluted[name];
    }
  });

  it("is not met by a __proto__ that came with parsed JSON", () => {
    const attributes = JSON.parse('{"__proto__": {"board": "aqa"}}') as Attributes;
    expect(compileAllowlist([{ board: "aqa" }])("job-1", attributes)).toBe(false);
  });

  it.each([undefined, null, "board", 7, true])("is not met by the attributes %j", (attributes) => {
    expect(permits("job-1", attributes as unknown as Attributes)).toBe(false);
  });
});
