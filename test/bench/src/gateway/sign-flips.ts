/**
 * How often a mean at least as far from 0 comes out when a coin decides each difference's sign: near 0 where
 * the two that were compared differ. Source: R. A. Fisher, "The Design of Experiments", 1935, section 21.
 */
export function signFlips(
  differences: readonly number[],
  random: () => number,
  flips = 5000,
): number {
  const sum = Math.abs(differences.reduce((total, one) => total + one, 0));
  let asFar = 0;
  for (let flip = 0; flip < flips; flip += 1) {
    let flipped = 0;
    for (const one of differences) flipped += random() < 0.5 ? one : -one;
    if (Math.abs(flipped) >= sum) asFar += 1;
  }
  return (asFar + 1) / (flips + 1);
}
