import {
  attributeNames,
  eventSchema,
  eventSchemaVersion,
  genAi,
  measureMetricPrefix,
  metricNames,
  outcomeEventSchema,
} from "@sluice/contract";
import { z } from "zod";
import type { Emitted } from "./collect-telemetry.ts";
import { differences } from "./differences.ts";
import { codesIn, codesOf, tableUnder, type Page } from "./read-page.ts";

const measure = `${measureMetricPrefix}<name>`;
const telemetryName = /^(?:sluice|gen_ai|error)\./;

/** Faults of the page of telemetry names, by the table of names and by what was emitted. */
export function checkTelemetry(page: Page, emitted: Emitted): string[] {
  const names = [metricNames, attributeNames, genAi].flatMap((table) => Object.values(table));
  const named = new Set(page.words.filter((word) => telemetryName.test(word)));
  const metrics = tableUnder(page, "Metrics");
  const attributesOf = (name: string): readonly string[] => {
    const row = metrics.rows.find((candidate) => codesIn(candidate("name")).includes(name));
    const codes = codesIn(row?.("attributes") ?? "");
    return codes.flatMap((code) => (emitted.has(code) ? attributesOf(code) : [code]));
  };
  const seen = [...emitted].filter(([bearer]) => bearer !== "span");
  return [
    ...differences(codesOf(tableUnder(page, "Events"), "event"), eventKinds()),
    ...checkOutcomeEvent(page),
    ...differences([...named], [...names, measure]),
    ...differences(codesOf(metrics, "name"), [...new Set(seen.map(([name]) => generic(name)))]),
    ...seen.flatMap(([name, attributes]) =>
      differences(attributesOf(generic(name)), all(emitted, name, attributes)).map(
        (fault) => `${name}: ${fault}`,
      ),
    ),
    ...differences(codesOf(tableUnder(page, "Spans"), "attribute"), [
      ...(emitted.get("span") ?? []),
    ]).map((fault) => `span: ${fault}`),
  ];
}

/** The fields of the richest event, and what each entry of its lists holds. */
function checkOutcomeEvent(page: Page): string[] {
  const heading = "An outcome's event";
  const table = tableUnder(page, heading);
  const shape: Readonly<Record<string, z.ZodType>> = outcomeEventSchema.shape;
  return [
    ...(page.text.includes(`\`v\`: ${eventSchemaVersion}.`)
      ? []
      : [`the version of events is ${eventSchemaVersion}`]),
    ...differences(codesOf(table, "field"), Object.keys(shape)),
    ...table.rows.flatMap((row) => {
      const [field = ""] = codesIn(row("field"));
      const list = shape[field];
      if (!(list instanceof z.ZodArray) || !(list.element instanceof z.ZodObject)) return [];
      return differences(codesIn(row("meaning")), Object.keys(list.element.shape)).map(
        (fault) => `${field}: ${fault}`,
      );
    }),
  ];
}

function eventKinds(): readonly string[] {
  return eventSchema.options.map((schema) => schema.shape.event.value);
}

function generic(metric: string): string {
  return metric.startsWith(measureMetricPrefix) ? measure : metric;
}

/** The attributes of a metric; of measures, those of all together. */
function all(emitted: Emitted, name: string, attributes: ReadonlySet<string>): readonly string[] {
  if (generic(name) === name) return [...attributes];
  const measures = [...emitted].filter(([other]) => generic(other) === measure);
  return [...new Set(measures.flatMap(([, names]) => [...names]))];
}
