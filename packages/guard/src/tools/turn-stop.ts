/** Whether the request was stopped, also for what begins to listen only afterwards. */
export interface TurnStop {
  readonly isStopped: boolean;
  /** Calls when it is stopped, or at once if it was; the returned function takes it back. */
  onStop(stop: () => void): () => void;
  /** Hears of nothing any more. */
  end(): void;
}

export function createTurnStop(onStop: (stop: () => void) => () => void): TurnStop {
  const stops = new Set<() => void>();
  let isStopped = false;
  const end = onStop(() => {
    isStopped = true;
    for (const stop of stops) stop();
    stops.clear();
  });
  return {
    get isStopped() {
      return isStopped;
    },
    onStop(stop) {
      if (isStopped) stop();
      else stops.add(stop);
      return () => void stops.delete(stop);
    },
    end,
  };
}
