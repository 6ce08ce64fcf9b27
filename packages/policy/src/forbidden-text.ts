/** Patterns compiled for search: an Aho–Corasick automaton. */
export interface ForbiddenText {
  /** What a UTF-16 unit counts as; units that fold alike count alike, and 0 is in no pattern. */
  symbolOf(unit: number): number;
  /** Above every symbol: `node * width + symbol` is an edge's key. */
  readonly width: number;
  /** From an edge's key to the node it leads to. */
  readonly edges: { get(key: number): number | undefined };
  /** By node, the node of its longest proper suffix that begins a pattern. */
  readonly fallbacks: readonly number[];
  /** By node, how many units lead to it from the root. */
  readonly depths: readonly number[];
  /** By node, whether a pattern ends there. */
  readonly ends: readonly boolean[];
}

/** One text that is searched as it arrives. */
export interface TextScan {
  /**
   * Takes the next piece. Gives the text that holds no start of a pattern and may go; undefined once a
   * pattern was found. Held back are the longest end of the text that may begin a pattern, and a high
   * surrogate before it, so that no piece ends in half a character.
   */
  push(text: string): string | undefined;
  /** What was held back, when the text is over; nothing once a pattern was found. */
  end(): string;
}

/**
 * Compiles literal patterns, compared without case unit by unit (Unicode's simple case folding within the
 * basic plane, so lengths stay). Empty patterns are left out. Time and memory are linear in the patterns;
 * a search is linear in its text whatever the patterns, beside a copy of what is held back for each piece.
 * Source: Aho and Corasick, "Efficient string matching", CACM 18(6), 1975
 */
export function compileForbidden(patterns: readonly string[]): ForbiddenText {
  const { symbolOf, width } = symbolsOf(patterns);
  const edges = new Map<number, number>();
  const fallbacks = [0];
  const depths = [0];
  const ends = [false];
  const follow = (from: number, symbol: number): number => {
    let node = from;
    for (;;) {
      const next = edges.get(node * width + symbol);
      if (next !== undefined) return next;
      if (node === 0) return 0;
      node = fallbacks[node] ?? 0;
    }
  };
  // All patterns grow by one unit at a time: whatever a node falls back to is less deep, so it is there.
  let growing = patterns
    .filter((pattern) => pattern !== "")
    .map((pattern) => ({ pattern, node: 0 }));
  for (let depth = 0; growing.length > 0; depth += 1) {
    for (const one of growing) {
      const symbol = symbolOf(one.pattern.charCodeAt(depth));
      const key = one.node * width + symbol;
      let node = edges.get(key);
      if (node === undefined) {
        node = depths.length;
        const fallback = depth === 0 ? 0 : follow(fallbacks[one.node] ?? 0, symbol);
        edges.set(key, node);
        fallbacks.push(fallback);
        depths.push(depth + 1);
        ends.push(ends[fallback] ?? false);
      }
      if (one.pattern.length === depth + 1) ends[node] = true;
      one.node = node;
    }
    // What goes on after a pattern's end is never reached.
    growing = growing.filter(({ node }) => ends[node] !== true);
  }
  return { symbolOf, width, edges, fallbacks, depths, ends };
}

/** A symbol for each unit of the patterns, shared by all units that fold alike. */
function symbolsOf(patterns: readonly string[]): Pick<ForbiddenText, "symbolOf" | "width"> {
  const byFolded = new Map<number, number>();
  for (const pattern of patterns) {
    for (let i = 0; i < pattern.length; i += 1) {
      const folded = foldUnit(pattern.charCodeAt(i));
      if (!byFolded.has(folded)) byFolded.set(folded, byFolded.size + 1);
    }
  }
  // Each unit is folded once, when it is first met; 0 is one that was not.
  const known = new Uint16Array(byFolded.size === 0 ? 0 : 0x1_00_00);
  return {
    width: byFolded.size + 1,
    symbolOf(unit) {
      const again = known[unit] ?? 0;
      if (again !== 0) return again - 1;
      const symbol = byFolded.get(foldUnit(unit)) ?? 0;
      known[unit] = symbol + 1;
      return symbol;
    },
  };
}

const dotlessI = 0x1_31;

/** Units that differ in case only fold alike. Source: CaseFolding.txt of Unicode, status C and S. */
function foldUnit(unit: number): number {
  // Its capital is the I of the other letter too; only Turkic folding joins the two.
  if (unit === dotlessI) return unit;
  const letter = String.fromCharCode(unit);
  const upper = letter.toUpperCase();
  const lower = (upper.length === 1 ? upper : letter).toLowerCase();
  return lower.length === 1 ? lower.charCodeAt(0) : unit;
}

/** Begins the search of one text. */
export function startScan(compiled: ForbiddenText): TextScan {
  let held = "";
  let node = 0;
  let found = false;
  return {
    push(text) {
      if (found) return undefined;
      if (compiled.width > 1) {
        node = advance(compiled, node, text);
        found = compiled.ends[node] ?? false;
        if (found) {
          held = "";
          return undefined;
        }
      }
      const whole = held + text;
      let cut = whole.length - (compiled.depths[node] ?? 0);
      if (isHighSurrogate(whole.charCodeAt(cut - 1))) cut -= 1;
      held = whole.slice(cut);
      return whole.slice(0, cut);
    },
    end() {
      const rest = held;
      held = "";
      return rest;
    },
  };
}

/** The node after a text, or the first at which a pattern ends. */
function advance(compiled: ForbiddenText, from: number, text: string): number {
  const { width, edges, fallbacks, ends } = compiled;
  let node = from;
  for (let i = 0; i < text.length; i += 1) {
    const symbol = compiled.symbolOf(text.charCodeAt(i));
    if (symbol === 0) {
      node = 0;
      continue;
    }
    let next = edges.get(node * width + symbol);
    while (next === undefined && node !== 0) {
      node = fallbacks[node] ?? 0;
      next = edges.get(node * width + symbol);
    }
    node = next ?? 0;
    if (ends[node] === true) return node;
  }
  return node;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd8_00 && unit <= 0xdb_ff;
}
