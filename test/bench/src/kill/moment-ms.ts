/** Milliseconds since the epoch, finer than a millisecond; comparable between processes of one machine. */
export function momentMs(): number {
  return performance.timeOrigin + performance.now();
}
