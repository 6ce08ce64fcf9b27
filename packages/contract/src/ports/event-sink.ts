import type { SluiceEvent } from "../telemetry/events.ts";

/** Receives every event. Whatever it throws or returns is ignored: an observer never changes an outcome. */
export type EventSink = (event: SluiceEvent) => void;
