import type { Price, Provider, RouteCandidate } from "@sluice/contract";
import type { Health } from "./health.ts";

/** A provider as a route calls it. */
export interface Candidate<In> {
  readonly config: RouteCandidate;
  readonly provider: Provider<In>;
  /** The route's model, else the provider's own. */
  readonly model: string | undefined;
  readonly price: Price | undefined;
  readonly timeoutMs: number;
  readonly maxRetries: number;
  /** Shared by all candidates of the same provider, whatever route they were part of. */
  readonly health: Health;
}
