/** What the process holds once its garbage is collected; needs `--expose-gc`. */
export function heldBytes(): number {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
