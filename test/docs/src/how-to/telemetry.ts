import { prefixEvents, type EventSink, type SluiceEvent } from "@sluice/contract";
import { countResponses, guardRoute } from "@sluice/express";
import { createGuard, defineContract, staticFlags, type Guard } from "@sluice/guard";
import { functionProvider } from "@sluice/providers";
import type { Express, Request, RequestHandler } from "express";
import { z } from "zod";

export interface Logger {
  info(event: object): void;
}

const contract = defineContract({
  ok: z.object({ status: z.literal("OK"), slots: z.array(z.string()) }),
  failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
});

interface Sinks {
  readonly sinks: readonly EventSink[];
}

function listening(logger: Logger): Sinks {
  return {
    // #region
    sinks: [(event) => logger.info(event)],
    // #endregion
  };
}

export function countingOutcomes(countOutcome: (event: SluiceEvent) => void): Sinks {
  return {
    // #region
    sinks: [Object.assign(countOutcome, { subscribesTo: ["outcome"] as const })],
    // #endregion
  };
}

export function measuredGuard(logger: Logger): Guard<string, unknown, unknown, unknown> {
  return createGuard({
    feature: "slots_ai",
    contract,
    failed: ({ code }) => ({ status: "FAILED", code }),
    stub: () => ({ status: "OK", slots: [] }),
    provider: functionProvider((text: string) => ({ status: "OK", slots: text.split(" ") })),
    flags: staticFlags({ slots_ai: { enabled: true } }),
    onFailure: "failed",
    ...listening(logger),
    // #region
    measures: z.strictObject({
      slotsMade: z.int(),
      cacheHit: z.boolean(),
      size: z.enum(["s", "m", "l"]),
    }),
    measure: (value) => ({ slotsMade: value.slots.length }),
    // #endregion
  });
}

export function prefixedSinks(records: { readonly sink: EventSink }, logger: Logger) {
  return {
    // #region
    sinks: [records.sink, prefixEvents("phase3", (event) => logger.info(event))],
    // #endregion
  };
}

export function countedRoute<In>(
  app: Express,
  guard: Guard<In, unknown, unknown, unknown>,
  authenticate: RequestHandler,
  { subject, input }: { readonly subject: (req: Request) => string; readonly input: z.ZodType<In> },
): void {
  // #region
  app.use("/chat", countResponses(guard), authenticate);
  app.post("/chat", guardRoute(guard, { subject, input }));
  // #endregion
}
