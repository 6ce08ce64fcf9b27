const unitMs: readonly (readonly [unit: RegExp, ms: number])[] = [
  [/^(?:ms|milliseconds?)/i, 1],
  [/^s(?:ec(?:ond)?s?)?/i, 1000],
  [/^m(?:in(?:ute)?s?)?/i, 60_000],
  [/^h(?:(?:ou)?rs?)?/i, 3_600_000],
  [/^d(?:ays?)?/i, 86_400_000],
];

/**
 * A duration at the start of a text, as Go writes them ("120ms", "6m0s", "1m30.5s") or in words
 * ("20 seconds"); undefined without a unit.
 */
export function parseDurationMs(text: string): number | undefined {
  let rest = text;
  let total: number | undefined;
  // Four parts: days, hours, minutes, seconds.
  for (let parts = 0; parts < 4; parts += 1) {
    const [amount, digits] = /^(\d{1,9}(?:\.\d{1,9})?) ?/.exec(rest) ?? [];
    if (amount === undefined) break;
    const after = rest.slice(amount.length);
    const found = unitMs.find(([unit]) => unit.test(after));
    if (found === undefined) break;
    const [unit, ms] = found;
    total = (total ?? 0) + Number(digits) * ms;
    rest = after.replace(unit, "");
  }
  return total;
}
