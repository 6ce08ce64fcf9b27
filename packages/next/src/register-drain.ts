import { drainGateways, type DrainOptions } from "./drain-gateways.ts";

/**
 * For `register()` in `instrumentation.ts`: at SIGTERM it drains the gateways of this process. `next start`
 * waits for answers under way, however long they go on; with this they end by the deadline. On the edge
 * runtime it does nothing.
 * @returns what takes it back
 */
export function registerDrain(options: DrainOptions = {}): () => void {
  const drain = async (): Promise<void> => {
    await drainGateways(options);
    // Where nobody else listens, to listen was to keep the process from ending.
    if (process.listenerCount("SIGTERM") === 0) process.kill(process.pid, "SIGTERM");
  };
  const onSignal = (): void => void drain();
  process.once("SIGTERM", onSignal);
  return () => void process.off("SIGTERM", onSignal);
}
