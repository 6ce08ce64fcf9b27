import { parseMeasures, type Measures, type MeasuresSchema } from "@sluice/contract";
import type { Events } from "./events.ts";

/** Takes the measures that the application reports of one request. */
export interface MeasureCollector {
  readonly values: Measures;
  report(report: unknown): void;
}

const none: Measures = Object.freeze({});

/** A report with anything undeclared or textual is dropped whole, with an alert; it changes no outcome. */
export function collectMeasures(
  schema: MeasuresSchema | undefined,
  events: Events,
): MeasureCollector {
  let values = none;
  return {
    get values() {
      return values;
    },
    report(report) {
      const parsed = schema === undefined ? undefined : parseMeasures(schema, report);
      if (parsed !== undefined) {
        values = { ...values, ...parsed };
        return;
      }
      const declared = schema === undefined ? "none" : Object.keys(schema.shape).join(", ");
      events.alertOnce("measures", {
        code: "MEASURES_REFUSED",
        message: `a report of measures was dropped: it holds something undeclared or of another type (declared: ${declared})`,
      });
    },
  };
}
