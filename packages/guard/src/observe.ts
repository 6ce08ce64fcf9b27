/**
 * Lets an observer see something. Whatever it throws, returns or rejects with is ignored: an observer never
 * changes an outcome, and an async one must not become an unhandled rejection.
 */
export function observe<Args extends readonly unknown[]>(
  observer: ((...args: Args) => unknown) | undefined,
  ...args: Args
): void {
  try {
    const returned = observer?.(...args);
    if (returned instanceof Promise) returned.catch(() => undefined);
  } catch {
    // It is theirs to handle.
  }
}
