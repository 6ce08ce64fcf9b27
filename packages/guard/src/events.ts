import {
  eventSchemaVersion,
  oneLine,
  type AlertCode,
  type Clock,
  type EventSink,
  type SluiceEvent,
} from "@sluice/contract";
import { observe } from "./observe.ts";

/** Events held for the next turn of the event loop; beyond it the oldest go. */
const capacity = 10_000;
const maxMessage = 512;
const maxVariable = 128;

interface Waiting {
  readonly make: (atMs: number) => SluiceEvent;
  readonly atMs: number;
}

export interface Alert {
  readonly code: AlertCode;
  readonly message: string;
  readonly variable?: string;
  readonly figures?: Readonly<Record<string, number>>;
}

/**
 * Hands events to observers after the request's turn, each isolated: what they throw, return or how
 * long they hang changes no outcome.
 */
export interface Events {
  /** False when nobody listens, so that nothing need be built. */
  readonly wanted: boolean;
  /** Takes the time now; the event itself is made when it is delivered. */
  emit(make: (atMs: number) => SluiceEvent): void;
  alert(alert: Alert): void;
  /** The same alert only once until {@link Events.clear} is called for the key. */
  alertOnce(key: string, alert: Alert): void;
  clear(key: string): void;
  /** Delivers what is waiting. */
  flush(): void;
  readonly dropped: number;
}

export function createEvents(options: {
  readonly feature: string;
  readonly sinks: readonly EventSink[];
  /** The application listens to nothing: alerts become process warnings, so that they are never silent. */
  readonly alertsUnheard: boolean;
  readonly clock: Clock;
}): Events {
  const { feature, sinks, alertsUnheard, clock } = options;
  let waiting: Waiting[] = [];
  /** Where the oldest stands once the buffer has gone round. */
  let oldest = 0;
  let scheduled = false;
  let dropped = 0;
  const raised = new Set<string>();

  const deliver = (): void => {
    scheduled = false;
    const batch = [...waiting.slice(oldest), ...waiting.slice(0, oldest)];
    waiting = [];
    oldest = 0;
    for (const { make, atMs } of batch) {
      try {
        const event = make(atMs);
        for (const sink of sinks) observe(sink, event);
      } catch {
        // The application changed an outcome that it was only to read.
        dropped += 1;
      }
    }
  };

  const emit = (make: Waiting["make"]): void => {
    if (sinks.length === 0) return;
    const next = { make, atMs: clock.wallMs() };
    if (waiting.length < capacity) {
      waiting.push(next);
    } else {
      waiting[oldest] = next;
      oldest = (oldest + 1) % capacity;
      dropped += 1;
    }
    if (!scheduled) {
      scheduled = true;
      setImmediate(deliver);
    }
  };

  const alert = (raisedAlert: Alert): void => {
    const message = oneLine(raisedAlert.message).slice(0, maxMessage);
    const { variable } = raisedAlert;
    if (alertsUnheard) {
      process.emitWarning(`sluice ${feature}: ${message}`, { code: `SLUICE_${raisedAlert.code}` });
    }
    emit((atMs) => ({
      v: eventSchemaVersion,
      event: "alert",
      at_ms: atMs,
      feature,
      ...raisedAlert,
      message,
      ...(variable === undefined ? {} : { variable: oneLine(variable).slice(0, maxVariable) }),
    }));
  };

  return {
    wanted: sinks.length > 0,
    emit,
    alert,
    alertOnce(key, raisedAlert) {
      if (raised.has(key)) return;
      raised.add(key);
      alert(raisedAlert);
    },
    clear: (key) => void raised.delete(key),
    flush: deliver,
    get dropped() {
      return dropped;
    },
  };
}
