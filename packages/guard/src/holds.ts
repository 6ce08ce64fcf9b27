import type { Hold, HoldEnd } from "@sluice/contract";

/** Gives back in reverse order and forgets; one that fails does not keep the others. */
export function releaseHolds(
  holds: Hold[],
  end: HoldEnd,
  onThrow: (kind: Hold["kind"]) => void,
): void {
  for (let hold = holds.pop(); hold !== undefined; hold = holds.pop()) {
    try {
      hold.release(end);
    } catch {
      onThrow(hold.kind);
    }
  }
}
