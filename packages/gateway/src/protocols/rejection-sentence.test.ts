import { Reason } from "@sluice/contract";
import { describe, expect, it } from "vitest";
import { rejectionSentence, tryAgain } from "./rejection-sentence.ts";

describe("a rejection in words", () => {
  it("is a sentence for every reason, without its code", () => {
    for (const reason of Object.values(Reason)) {
      const sentence = rejectionSentence(reason, "3");
      expect(sentence).toMatch(/^[A-Z][a-z' ]+\. Try again in 3 seconds\.$/);
    }
  });

  it.each([
    ["0", "1 second"],
    ["1", "1 second"],
    ["119", "119 seconds"],
    ["121", "3 minutes"],
    ["7199", "120 minutes"],
    ["7201", "3 hours"],
  ])("says a wait of %s as %s, never too short", (seconds, said) => {
    expect(tryAgain(seconds)).toBe(` Try again in ${said}.`);
  });

  it.each([undefined, "soon", "-1", "Infinity"])("says nothing of a wait of %s", (seconds) => {
    expect(tryAgain(seconds)).toBe("");
  });
});
