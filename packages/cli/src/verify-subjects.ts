/** A kind of id that hashes or compares otherwise where something is done to it on the way. */
const kinds: readonly ((index: number) => string)[] = [
  (index) => `user-${index}`,
  (index) => `用户${index}`,
  (index) => `🦀👩‍🚀${index}`,
  // Composed and decomposed: one text to a reader, two subjects.
  (index) => `caf\u00e9-${index}`,
  (index) => `cafe\u0301-${index}`,
  (index) => `${"long ".repeat(190)}${index}`,
  (index) => String(index),
  (index) => `00${index}e1`,
];

/** So many subjects, the same each time. */
export function makeSubjects(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => {
    const round = Math.floor(index / kinds.length);
    return kinds[index % kinds.length]?.(round) ?? "";
  });
}

/** Never in, whatever the percentage. */
export const neverEligible: readonly string[] = ["", "x".repeat(1025)];
