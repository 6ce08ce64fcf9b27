const nanoPerUsd = 1_000_000_000;

/** Integer nano-dollars of a decimal like `1.50`; undefined when it is none, or above a million. */
export function parseUsd(text: string): number | undefined {
  const match = /^(\d{1,7})(?:\.(\d{1,9}))?$/.exec(text);
  if (match === null) return undefined;
  const [, whole = "", fraction = ""] = match;
  const nanoUsd = Number(whole) * nanoPerUsd + Number(fraction.padEnd(9, "0"));
  return nanoUsd <= 1_000_000 * nanoPerUsd ? nanoUsd : undefined;
}

/** Nano-dollars for people, with at least two decimals and no rounding. */
export function formatUsd(nanoUsd: number): string {
  const whole = Math.floor(nanoUsd / nanoPerUsd);
  const fraction = String(nanoUsd % nanoPerUsd)
    .padStart(9, "0")
    .replace(/0{1,7}$/, "");
  return `$${whole}.${fraction}`;
}
