import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileForbidden, startScan, type ForbiddenText } from "./forbidden-text.ts";

interface Scanned {
  readonly found: boolean;
  /** What `push` gave, piece by piece. */
  readonly pieces: readonly string[];
  readonly rest: string;
}

function scan(compiled: ForbiddenText, chunks: readonly string[]): Scanned {
  const running = startScan(compiled);
  const pieces: string[] = [];
  for (const chunk of chunks) {
    const piece = running.push(chunk);
    if (piece === undefined) return { found: true, pieces, rest: running.end() };
    pieces.push(piece);
  }
  return { found: false, pieces, rest: running.end() };
}

const whole = ({ pieces, rest }: Scanned): string => pieces.join("") + rest;

/** Where the earliest pattern ends; undefined without one. Of ASCII only. */
function endOfFirst(patterns: readonly string[], text: string): number | undefined {
  const ends = patterns
    .map((pattern) => ({ pattern, at: text.toLowerCase().indexOf(pattern.toLowerCase()) }))
    .filter(({ at }) => at >= 0)
    .map(({ pattern, at }) => at + pattern.length);
  return ends.length === 0 ? undefined : Math.min(...ends);
}

/** The longest end of a text that begins a pattern. */
function longestOpen(patterns: readonly string[], text: string): number {
  const lower = text.toLowerCase();
  const open = patterns.flatMap((pattern) =>
    Array.from({ length: pattern.length }, (_, length) =>
      lower.endsWith(pattern.slice(0, length).toLowerCase()) ? length : 0,
    ),
  );
  return Math.max(0, ...open);
}

function chunked(text: string, cuts: readonly number[]): string[] {
  const chunks: string[] = [];
  let from = 0;
  for (const cut of [...cuts.map((one) => one % (text.length + 1)), text.length].toSorted(
    (a, b) => a - b,
  )) {
    chunks.push(text.slice(from, cut));
    from = cut;
  }
  return chunks;
}

/** Few letters, so that patterns overlap, nest and nearly match. */
const overAb = (constraints: { readonly minLength?: number; readonly maxLength: number }) =>
  fc.string({ unit: fc.constantFrom("a", "b", "A", "c"), size: "max", ...constraints });
const anyPatterns = fc.array(overAb({ minLength: 1, maxLength: 6 }), { maxLength: 5 });
const anyCuts = fc.array(fc.nat(), { maxLength: 10 });

describe("a search for forbidden text", () => {
  it.each([
    ["at once", ["secret"], ["a secret!"]],
    ["in another case", ["Secret"], ["a sEcReT!"]],
    ["split over two pieces", ["secret"], ["a sec", "ret!"]],
    ["one unit at a time", ["secret"], "so a ssecret".split("")],
    ["after a start that came to nothing", ["aab"], ["aaab"]],
    ["inside the start of a longer one", ["xsecrety", "secret"], ["xsecret"]],
    ["as the last thing", ["end"], ["the e", "nd"]],
    ["beyond the basic plane", ["🧪🔬"], ["🧪", "\ud83d", "\udd2c"]],
    ["with a letter that has no other case", ["受験"], ["大学受験"]],
    ["with a long s, a kelvin sign and a final sigma", ["skς"], ["ſ\u212aΣ"]],
  ])("finds it %s", (_, patterns, chunks) => {
    expect(scan(compileForbidden(patterns), chunks).found).toBe(true);
  });

  it.each([
    ["nearly all of it", ["secret"], ["a secre", "!t"]],
    ["its units in another order", ["ab"], ["ba", "ca"]],
    ["a letter of another script that looks alike", ["a"], ["а"]],
    ["half of a character", ["🧪"], ["\ud83e", "x"]],
    ["the dotless i for an i", ["i"], ["ı"]],
    ["two letters for one", ["ß"], ["ss", "SS"]],
  ])("does not take for it %s", (_, patterns, chunks) => {
    const scanned = scan(compileForbidden(patterns), chunks);
    expect(scanned.found).toBe(false);
    expect(whole(scanned)).toBe(chunks.join(""));
  });

  it("holds back what may begin a pattern, and lets it go when it does not", () => {
    const running = startScan(compileForbidden(["secret", "create"]));
    expect(running.push("a secre")).toBe("a ");
    expect(running.push("a")).toBe("se");
    expect(running.push("m")).toBe("cream");
    expect(running.push(" s")).toBe(" ");
    expect(running.end()).toBe("s");
    expect(running.end()).toBe("");
  });

  it("gives nothing more once it has found", () => {
    const running = startScan(compileForbidden(["secret"]));
    expect(running.push("a sec")).toBe("a ");
    expect(running.push("ret and more")).toBeUndefined();
    expect(running.push("innocent")).toBeUndefined();
    expect(running.end()).toBe("");
  });

  it("says the same of a text however it is cut, and gives all of it", () => {
    fc.assert(
      fc.property(anyPatterns, overAb({ maxLength: 60 }), anyCuts, (patterns, text, cuts) => {
        const scanned = scan(compileForbidden(patterns), chunked(text, cuts));
        expect(scanned.found).toBe(endOfFirst(patterns, text) !== undefined);
        if (scanned.found) return;
        expect(whole(scanned)).toBe(text);
      }),
      { numRuns: 2000 },
    );
  });

  it("lets nothing of a pattern go before it is found", () => {
    fc.assert(
      fc.property(anyPatterns, overAb({ maxLength: 60 }), anyCuts, (patterns, text, cuts) => {
        const end = endOfFirst(patterns, text);
        if (end === undefined) return;
        const given = whole(scan(compileForbidden(patterns), chunked(text, cuts)));
        expect(text.startsWith(given)).toBe(true);
        const ending = patterns.filter((pattern) =>
          text.slice(0, end).toLowerCase().endsWith(pattern.toLowerCase()),
        );
        const longest = Math.max(...ending.map((pattern) => pattern.length));
        expect(given.length).toBeLessThanOrEqual(end - longest);
      }),
      { numRuns: 2000 },
    );
  });

  it("holds back exactly the longest end that begins a pattern", () => {
    fc.assert(
      fc.property(anyPatterns, overAb({ maxLength: 60 }), anyCuts, (patterns, text, cuts) => {
        const running = startScan(compileForbidden(patterns));
        let seen = "";
        let given = "";
        for (const chunk of chunked(text, cuts)) {
          const piece = running.push(chunk);
          if (piece === undefined) return;
          seen += chunk;
          given += piece;
          expect(seen.length - given.length).toBe(longestOpen(patterns, seen));
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("gives no piece that ends or begins in half a character, and holds no more for it than one unit", () => {
    const anyText = fc.string({ unit: fc.constantFrom("a", "🧪", "🔬", "é"), maxLength: 30 });
    const somePatterns = fc.array(
      fc.string({ unit: fc.constantFrom("a", "🧪", "🔬"), minLength: 1, maxLength: 4 }),
      { maxLength: 3 },
    );
    fc.assert(
      fc.property(somePatterns, anyText, anyCuts, (patterns, text, cuts) => {
        const running = startScan(compileForbidden(patterns));
        const longest = Math.max(1, ...patterns.map((pattern) => pattern.length));
        let held = 0;
        for (const chunk of chunked(text, cuts)) {
          const piece = running.push(chunk);
          if (piece === undefined) return;
          held += chunk.length - piece.length;
          expect(piece.isWellFormed()).toBe(true);
          expect(held).toBeLessThanOrEqual(longest);
        }
        expect(running.end().isWellFormed()).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  it("passes text that is not well formed through as it is", () => {
    const text = "a\ud83e\ud83eb\udd2a\udd2ac\ud83e";
    fc.assert(
      fc.property(anyCuts, (cuts) => {
        for (const patterns of [[], ["b\udd2ax"], ["\ud83ex"]]) {
          expect(whole(scan(compileForbidden(patterns), chunked(text, cuts)))).toBe(text);
        }
      }),
    );
  });

  it("without a pattern holds nothing back but half a character", () => {
    for (const patterns of [[], [""]]) {
      const running = startScan(compileForbidden(patterns));
      expect(running.push("text")).toBe("text");
      expect(running.push("")).toBe("");
      expect(running.push("x\ud83e")).toBe("x");
      expect(running.push("\uddea")).toBe("🧪");
      expect(running.end()).toBe("");
    }
  });

  it("folds each unit of the basic plane as a regular expression without case does", () => {
    const wrong: string[] = [];
    for (let unit = 0; unit < 0x1_00_00; unit += 1) {
      const letter = String.fromCharCode(unit);
      const variants = new Set(
        [letter.toLowerCase(), letter.toUpperCase(), letter.toUpperCase().toLowerCase()].filter(
          (variant) => variant.length === 1 && variant !== letter,
        ),
      );
      for (const variant of variants) {
        const same = new RegExp(`^\\u{${unit.toString(16)}}$`, "iu").test(variant);
        const found = scan(compileForbidden([letter]), [variant]).found;
        if (found !== same) wrong.push(`${letter} ${variant}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});

/** Counts how often the automaton is asked for an edge. */
function counting(compiled: ForbiddenText): { compiled: ForbiddenText; steps: () => number } {
  let steps = 0;
  const edges = {
    get(key: number) {
      steps += 1;
      return compiled.edges.get(key);
    },
  };
  return { compiled: { ...compiled, edges }, steps: () => steps };
}

describe("the work of a search", () => {
  const size = 100_000;

  it.each<[string, readonly string[], string]>([
    ["a start repeated", [`${"a".repeat(1000)}b`], "a".repeat(size)],
    [
      "starts within starts",
      ["a".repeat(900), "ab".repeat(500)].map((one) => `${one}c`),
      "ab".repeat(size / 2),
    ],
    [
      "starts that fail late",
      Array.from({ length: 200 }, (_, i) => `${"a".repeat(i)}b${"a".repeat(i)}c`),
      `${"a".repeat(199)}b`.repeat(size / 200),
    ],
    [
      "many patterns",
      Array.from({ length: 5000 }, (_, i) => `word${i}x`),
      "word4999 ".repeat(size / 9),
    ],
  ])("is at most two steps for each unit of %s", (_, patterns, text) => {
    for (const length of [1, 7, text.length]) {
      const { compiled, steps } = counting(compileForbidden(patterns));
      const running = startScan(compiled);
      let found = false;
      for (let i = 0; i < text.length; i += length) {
        found ||= running.push(text.slice(i, i + length)) === undefined;
      }
      expect(found).toBe(false);
      expect(steps()).toBeLessThanOrEqual(2 * text.length);
    }
  });

  it("without a pattern is none", () => {
    const { compiled, steps } = counting(compileForbidden([]));
    startScan(compiled).push("a".repeat(size));
    expect(steps()).toBe(0);
  });

  it("builds no more nodes than the patterns have units, and none behind a shorter pattern", () => {
    const { depths } = compileForbidden(["abc", "abd", "AB", "abcdefgh"]);
    expect(depths).toEqual([0, 1, 2]);
  });
});
