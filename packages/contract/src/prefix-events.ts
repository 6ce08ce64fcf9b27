import { z } from "zod";
import { parseOptions } from "./config-error.ts";
import type { EventSink } from "./ports/event-sink.ts";
import {
  alertEventSchema,
  decisionEventSchema,
  disabledNoopEventSchema,
  outcomeEventSchema,
  type SluiceEvent,
} from "./telemetry/events.ts";

/** An event under an application's own prefix: `phase3.disabled_noop`. */
export type PrefixedEvent<
  Prefix extends string,
  Event extends SluiceEvent = SluiceEvent,
> = Event extends SluiceEvent
  ? Omit<Event, "event"> & { readonly event: `${Prefix}.${Event["event"]}` }
  : never;

const prefixSchema = z
  .string()
  .refine(
    (prefix) => prefix.length <= 64 && /^[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*$/.test(prefix),
    {
      error: "at most 64 lower-case letters, digits, _ and dots, each part beginning with a letter",
    },
  );

/**
 * A sink that hands each event on under a prefix, and changes nothing else of it. Other sinks of the same
 * guard go on reading the plain names.
 * @throws ConfigError naming the prefix
 */
export function prefixEvents<const Prefix extends string>(
  prefix: Prefix,
  sink: (event: PrefixedEvent<Prefix>) => unknown,
): EventSink {
  const checked = parseOptions("prefixEvents.prefix", prefixSchema, prefix);
  const renamed = (event: SluiceEvent): PrefixedEvent<Prefix> =>
    ({ ...event, event: `${checked}.${event.event}` }) as PrefixedEvent<Prefix>;
  // What an async sink returns is handed back, so that its rejection is caught by who calls it.
  return (event) => sink(renamed(event));
}

/**
 * The strict schema of events under a prefix; `z.toJSONSchema` makes a JSON Schema of it.
 * @throws ConfigError naming the prefix
 */
export function eventSchemaFor<const Prefix extends string>(prefix: Prefix) {
  parseOptions("eventSchemaFor.prefix", prefixSchema, prefix);
  return z.discriminatedUnion("event", [
    decisionEventSchema.extend({ event: z.literal(`${prefix}.decision` as const) }),
    outcomeEventSchema.extend({ event: z.literal(`${prefix}.outcome` as const) }),
    disabledNoopEventSchema.extend({ event: z.literal(`${prefix}.disabled_noop` as const) }),
    alertEventSchema.extend({ event: z.literal(`${prefix}.alert` as const) }),
  ]);
}
