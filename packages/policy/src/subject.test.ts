import { describe, expect, it } from "vitest";
import { isEligibleSubject } from "./subject.ts";

describe("a subject that eligibility can be decided for", () => {
  it.each([
    ["one letter", "a"],
    ["a space", " "],
    ["CJK", "受験生"],
    ["an emoji outside the basic plane", "🧪"],
    ["both normal forms of é", "é e\u0301"],
    ["line breaks and other control characters", "a\r\n\u0001"],
    ["1024 bytes of ASCII", "x".repeat(1024)],
    ["1024 bytes of two-byte letters", "é".repeat(512)],
    ["1023 bytes of three-byte letters", "語".repeat(341)],
    ["1024 bytes of surrogate pairs", "🧪".repeat(256)],
  ])("is %s", (_, subject) => {
    expect(isEligibleSubject(subject)).toBe(true);
  });

  it.each([
    ["the empty string", ""],
    ["NUL anywhere", "a\0b"],
    ["a lone high surrogate", "a\ud83e"],
    ["a lone low surrogate", "\udd2aa"],
    ["swapped surrogates", "\udd2a\ud83e"],
    ["1025 bytes of ASCII", "x".repeat(1025)],
    ["1026 bytes of two-byte letters", "é".repeat(513)],
    ["1026 bytes of three-byte letters", "語".repeat(342)],
    ["1028 bytes of surrogate pairs", "🧪".repeat(257)],
    ["undefined", undefined],
    ["null", null],
    ["a number", 7],
    ["a list of one string", ["a"]],
    ["a string object", Object("a")],
  ])("is not %s", (_, subject) => {
    expect(isEligibleSubject(subject)).toBe(false);
  });
});
