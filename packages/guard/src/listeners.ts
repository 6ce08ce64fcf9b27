import { observe } from "./observe.ts";

/** Who wants to hear of a change. */
export interface Listeners<Args extends readonly unknown[]> {
  add(listener: (...args: Args) => void): () => void;
  tell(...args: Args): void;
  clear(): void;
}

/** Each is told on its own: one that throws silences no other, and changes nothing for who tells. */
export function createListeners<Args extends readonly unknown[]>(): Listeners<Args> {
  const listeners = new Set<(...args: Args) => void>();
  return {
    add(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    tell(...args) {
      for (const listener of listeners) observe(listener, ...args);
    },
    clear: () => listeners.clear(),
  };
}
