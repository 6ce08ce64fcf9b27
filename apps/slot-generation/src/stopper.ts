import { exitCodes } from "./exit-codes.ts";

const signals = { SIGINT: exitCodes.interrupted, SIGTERM: exitCodes.terminated } as const;

type StopSignal = keyof typeof signals;

/** Ends a run early: aborts what is in flight and dispatches nothing more. */
export interface Stopper {
  readonly signal: AbortSignal;
  /** What the operating system sent. */
  readonly received: StopSignal | undefined;
  /** What can't be written or read any more. */
  readonly broken: { readonly error: unknown } | undefined;
  break(error: unknown): void;
  /** Stops listening for signals. */
  close(): void;
}

/** Listens for SIGINT and SIGTERM. A second one ends the process at once, as it would without us. */
export function createStopper(
  process: Pick<NodeJS.Process, "on" | "off">,
  onSignal: (signal: StopSignal) => void,
): Stopper {
  const controller = new AbortController();
  let received: StopSignal | undefined;
  let broken: { readonly error: unknown } | undefined;

  const receive = (signal: NodeJS.Signals): void => {
    close();
    received = signal as StopSignal;
    onSignal(received);
    controller.abort();
  };
  const close = (): void => {
    for (const signal of Object.keys(signals)) process.off(signal, receive);
  };
  for (const signal of Object.keys(signals)) process.on(signal, receive);

  return {
    signal: controller.signal,
    get received() {
      return received;
    },
    get broken() {
      return broken;
    },
    break(error) {
      broken ??= { error };
      controller.abort();
    },
    close,
  };
}

/** The exit code that a shell gives a process which the signal ended. */
export function exitCodeOfSignal(signal: StopSignal): (typeof signals)[StopSignal] {
  return signals[signal];
}
