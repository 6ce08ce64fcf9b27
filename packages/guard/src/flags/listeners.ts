/** Who wants to hear of changes. One that throws keeps neither the others nor the source from going on. */
export interface Listeners {
  /** The returned function takes it away again. */
  add(listener: () => void): () => void;
  tell(): void;
  clear(): void;
}

export function createListeners(): Listeners {
  const listeners = new Set<() => void>();
  return {
    add(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    tell() {
      for (const listener of listeners) {
        try {
          listener();
        } catch {
          // An observer changes nothing.
        }
      }
    },
    clear: () => listeners.clear(),
  };
}
