import type { Measures } from "@sluice/contract";
import type { Events } from "./events.ts";

/** Takes the measures that the application reports of one request. */
export interface MeasureCollector {
  readonly values: Measures;
  report(report: unknown): void;
}

const none: Measures = Object.freeze({});

/** What was declared, compiled. */
export interface DeclaredMeasures {
  readonly names: readonly string[];
  readonly parse: (report: unknown) => Measures | undefined;
}

/** A report with anything undeclared or textual is dropped whole, with an alert; it changes no outcome. */
export function collectMeasures(
  declared: DeclaredMeasures | undefined,
  events: Events,
): MeasureCollector {
  let values = none;
  const parse = (report: unknown): Measures | undefined => {
    if (report instanceof Promise) {
      // Nobody waits for it, and it must not become an unhandled rejection.
      report.catch(() => undefined);
      return undefined;
    }
    try {
      const parsed = declared?.parse(report);
      return parsed && Object.fromEntries(Object.entries(parsed).filter(isGiven));
    } catch {
      return undefined;
    }
  };
  return {
    get values() {
      return values;
    },
    report(report) {
      const parsed = parse(report);
      if (parsed !== undefined) {
        values = { ...values, ...parsed };
        return;
      }
      const names = declared?.names.join(", ") ?? "none";
      events.alertOnce("measures", {
        code: "MEASURES_REFUSED",
        message: `a report of measures was dropped: it holds something undeclared or of another type (declared: ${names})`,
      });
    },
  };
}

function isGiven([, value]: readonly [string, unknown]): boolean {
  return value !== undefined;
}
