/** What a process has opened, to be closed in the opposite order. */
export interface OpenedParts {
  add(close: () => unknown): void;
  /** Closes each part once, however often it is called; one that fails keeps no other open. Never rejects. */
  close(): Promise<void>;
}

export function openedParts(): OpenedParts {
  const closers: (() => unknown)[] = [];
  return {
    add: (close) => void closers.push(close),
    async close() {
      for (let next = closers.pop(); next !== undefined; next = closers.pop()) {
        try {
          await next();
        } catch {
          // Whoever closes has no use for it any more.
        }
      }
    },
  };
}
