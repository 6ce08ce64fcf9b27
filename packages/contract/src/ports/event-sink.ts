import type { SluiceEvent } from "../telemetry/events.ts";

/** Receives events. Whatever it throws or returns is ignored: an observer never changes an outcome. */
export interface EventSink {
  (event: SluiceEvent): void;
  /** The kinds of events that it wants; every one where this is absent. */
  readonly subscribesTo?: readonly SluiceEvent["event"][] | undefined;
}
