import type { AdmissionStore } from "@sluice/contract";

/** The admission store of a shadow; none where the store can't be imitated. */
export function apartOf(
  store: AdmissionStore | undefined,
  onThrow: (what: string) => void,
): AdmissionStore | undefined {
  try {
    return store?.apart?.();
  } catch {
    onThrow("the admission store");
    return undefined;
  }
}
