import { globalState, type Drainable } from "./global-state.ts";

export interface DrainOptions {
  /** How long answers under way may go on; then each ends with its terminal event. Default 10,000. */
  readonly deadlineMs?: number;
}

/**
 * Lets nobody into the gateways of this process any more (503 with `Retry-After`; a legacy handler goes on
 * in its stages), and resolves once no answer is under way. For applications that handle signals themselves.
 */
export async function drainGateways({ deadlineMs = 10_000 }: DrainOptions = {}): Promise<void> {
  await Promise.allSettled(alive().map((gateway) => gateway.drain({ deadlineMs })));
}

/** Has it drained with the others. */
export function addGateway(gateway: Drainable): void {
  const { gateways } = globalState();
  for (const known of gateways) if (known.deref() === undefined) gateways.delete(known);
  gateways.add(new WeakRef(gateway));
}

const alive = (): Drainable[] =>
  [...globalState().gateways].flatMap((known) => known.deref() ?? []);
