/** Calls an observer: what it throws is ignored, changes nothing, and silences no other. */
export function callQuietly(call: () => void): void {
  try {
    call();
  } catch {
    // The observer's own trouble.
  }
}
