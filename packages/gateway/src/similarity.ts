/** Longer texts are compared by their beginnings. */
const compared = 16_384;

/**
 * How alike two texts are, 0 to 1: the Sørensen–Dice coefficient of their word pairs (of their words, where
 * one has a single word), without regard to case. Two empty texts are alike.
 * Source: L. R. Dice, "Measures of the Amount of Ecologic Association Between Species", Ecology 26, 1945.
 */
export function similarityOf(one: string, other: string): number {
  const [a, b] = [wordsOf(one), wordsOf(other)];
  if (a.length === 0 && b.length === 0) return 1;
  const size = Math.min(a.length, b.length) > 1 ? 2 : 1;
  const counts = new Map<string, number>();
  for (const gram of gramsOf(a, size)) counts.set(gram, (counts.get(gram) ?? 0) + 1);
  let shared = 0;
  for (const gram of gramsOf(b, size)) {
    const left = counts.get(gram) ?? 0;
    if (left === 0) continue;
    counts.set(gram, left - 1);
    shared += 1;
  }
  return (2 * shared) / (gramsOf(a, size).length + gramsOf(b, size).length);
}

const wordsOf = (text: string): readonly string[] =>
  text
    .slice(0, compared)
    .toLowerCase()
    .match(/[\p{L}\p{N}]+/gu) ?? [];

const gramsOf = (words: readonly string[], size: number): readonly string[] =>
  size === 1 ? words : words.slice(1).map((word, index) => `${words[index]} ${word}`);
