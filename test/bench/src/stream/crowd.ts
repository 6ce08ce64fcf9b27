import { setTimeout } from "node:timers/promises";

/** As many at once as were added: whoever ends is followed by another, until they are drained. */
export interface Crowd {
  readonly open: number;
  readonly begun: number;
  /** `run` is called with the number of each that begins in this one's place. */
  add(run: (id: number) => Promise<void>): void;
  /** Resolves when so many are open. */
  filled(count: number): Promise<void>;
  /** No more begin; resolves when the last has ended. */
  drain(): Promise<void>;
}

const pollMs = 20;

export function createCrowd(): Crowd {
  const state = { open: 0, begun: 0, drains: false };

  async function follow(run: (id: number) => Promise<void>): Promise<void> {
    state.open += 1;
    while (!state.drains) {
      state.begun += 1;
      await run(state.begun);
    }
    state.open -= 1;
  }

  return {
    get open() {
      return state.open;
    },
    get begun() {
      return state.begun;
    },
    add: (run) => void follow(run),
    async filled(count) {
      while (state.open < count) await setTimeout(pollMs);
    },
    async drain() {
      state.drains = true;
      while (state.open > 0) await setTimeout(pollMs);
    },
  };
}
