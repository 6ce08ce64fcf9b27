import {
  eventSchemaVersion,
  oneLine,
  type AlertCode,
  type Clock,
  type EventSink,
  type MetricSample,
  type MetricSink,
  type SluiceEvent,
} from "@sluice/contract";
import { observe } from "./observe.ts";
import { onlyCounts } from "./telemetry/metrics-sink.ts";

/** Events and samples held for the next turn of the event loop; beyond it the oldest go. */
const capacity = 10_000;
const maxMessage = 512;
const maxVariable = 128;

type Waiting =
  | { readonly makeEvent: (atMs: number) => SluiceEvent; readonly atMs: number }
  | { readonly makeSample: () => MetricSample };

export interface Alert {
  readonly code: AlertCode;
  readonly message: string;
  readonly variable?: string;
  readonly figures?: Readonly<Record<string, number>>;
}

/**
 * Hands events and samples to observers after the request's turn, each isolated: what they throw, return
 * or how long they hang changes no outcome.
 */
export interface Events {
  /** Of a shadow: each event says so, and samples of circuits are no concern of it. */
  readonly isShadow: boolean;
  /** False when nobody listens, so that nothing need be built. */
  readonly wanted: boolean;
  /** Takes the time now; the event itself is made when it is delivered. */
  emit(make: (atMs: number) => SluiceEvent): void;
  alert(alert: Alert): void;
  /** False when nobody takes samples. */
  readonly metered: boolean;
  /** The sample is made when it is delivered. */
  sample(make: () => MetricSample): void;
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
  readonly metrics?: MetricSink | undefined;
  readonly isShadow?: boolean;
  readonly clock: Clock;
}): Events {
  const { feature, sinks, metrics, isShadow = false, clock } = options;
  // Where no sink shows alerts they become process warnings, so that they are never silent.
  const warnsOfAlerts = !sinks.some(showsAlerts);
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
    for (const next of batch) {
      try {
        if ("makeSample" in next) {
          observe(metrics, next.makeSample());
          continue;
        }
        const made = next.makeEvent(next.atMs);
        const event: SluiceEvent = isShadow ? { ...made, shadow: true } : made;
        for (const sink of sinks) if (wants(sink, event.event)) observe(sink, event);
      } catch {
        // The application changed an outcome that it was only to read.
        dropped += 1;
      }
    }
  };

  const hold = (next: Waiting): void => {
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

  const emit = (makeEvent: (atMs: number) => SluiceEvent): void => {
    if (sinks.length > 0) hold({ makeEvent, atMs: clock.wallMs() });
  };

  const alert = (raisedAlert: Alert): void => {
    const message = oneLine(raisedAlert.message).slice(0, maxMessage);
    const { variable } = raisedAlert;
    if (warnsOfAlerts) {
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
    isShadow,
    wanted: sinks.length > 0,
    metered: metrics !== undefined,
    emit,
    sample(makeSample) {
      if (metrics !== undefined) hold({ makeSample });
    },
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

function wants({ subscribesTo }: EventSink, kind: SluiceEvent["event"]): boolean {
  return subscribesTo === undefined || subscribesTo.includes(kind);
}

function showsAlerts(sink: EventSink): boolean {
  return wants(sink, "alert") && !onlyCounts(sink);
}
