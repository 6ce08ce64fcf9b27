import {
  createGuard,
  defineContract,
  staticFlags,
  systemClock,
  type SluiceEvent,
} from "@sluice/guard";
import { functionProvider } from "@sluice/providers";
import { recordWriter, type RecordWriter, type SqlDatabase } from "@sluice/sql";
import { z } from "zod";

/** Takes the events of a guard. */
export type EventSink = (event: SluiceEvent) => void;

/** One guarded call. */
export type Serve = () => Promise<void>;

export type Contender = "no writer" | "writer" | "awaited insert";

export interface Contenders {
  /**
   * Without a writer, events go to a sink that ignores them. The awaited insert is what a user would write
   * instead: an INSERT that the request waits for.
   */
  readonly serve: Readonly<Record<Contender, Serve>>;
  readonly records: RecordWriter;
  /** Calls whose record the writer was given. */
  sent(): number;
  /** Calls that did not succeed. */
  failed(): number;
}

export function contenders(db: SqlDatabase, ofAwaited: SqlDatabase): Contenders {
  let sent = 0;
  let failed = 0;
  const records = recordWriter(db, { clock: systemClock, random: Math.random });
  const through = (sink: EventSink): Serve => {
    const guard = guardWith(sink);
    return async () => {
      const { status } = await guard.run("one", { subject: "user-1" });
      if (status !== "SUCCEEDED") failed += 1;
    };
  };
  const ignored = through(() => undefined);
  const written = through(records.sink);
  return {
    serve: {
      "no writer": ignored,
      writer: () => {
        sent += 1;
        return written();
      },
      "awaited insert": async () => {
        const started = performance.now();
        await ignored();
        const latencyMs = Math.round(performance.now() - started);
        await ofAwaited.query(insertRow, [crypto.randomUUID(), latencyMs, new Date()]);
      },
    },
    records,
    sent: () => sent,
    failed: () => failed,
  };
}

const insertRow = `
  INSERT INTO ai_training_examples (request_id, requested_provider, selected_provider, route_strategy,
    fallback_used, latency_ms, created_at, feature, outcome, schema_valid)
  VALUES ($1, 'awaited', 'awaited', 'ordered', false, $2, $3, 'records_ai', 'SUCCEEDED', true)`;

/** With a provider that answers at once, so that what is measured is not the provider. */
export function guardWith(sink: EventSink) {
  return createGuard({
    feature: "records_ai",
    contract: defineContract({
      ok: z.object({ status: z.literal("OK") }),
      failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
      stub: z.object({ status: z.literal("STUB") }),
    }),
    failed: ({ code }) => ({ status: "FAILED", code }),
    stub: (_input: string) => ({ status: "STUB" }),
    provider: functionProvider<string>(() => Promise.resolve({ status: "OK" })),
    flags: staticFlags({ records_ai: { enabled: true, percent: 100 } }),
    onFailure: "failed",
    sinks: [sink],
  });
}
