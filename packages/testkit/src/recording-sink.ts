import { eventSchema, type EventSink, type SluiceEvent } from "@sluice/contract";

type EventKind = SluiceEvent["event"];

/** A sink that keeps what it was given. */
export interface RecordingSink {
  readonly sink: EventSink;
  /** What came so far. @throws ZodError when an event is not of its schema. */
  readonly events: readonly SluiceEvent[];
  of<K extends EventKind>(kind: K): readonly Extract<SluiceEvent, { event: K }>[];
}

export function recordingSink(): RecordingSink {
  const received: SluiceEvent[] = [];
  const parsed = (): readonly SluiceEvent[] =>
    received.map((event) => eventSchema.parse(event) as SluiceEvent);
  return {
    sink(event) {
      received.push(event);
    },
    get events() {
      return parsed();
    },
    of<K extends EventKind>(kind: K) {
      return parsed().filter(
        (event): event is Extract<SluiceEvent, { event: K }> => event.event === kind,
      );
    },
  };
}
