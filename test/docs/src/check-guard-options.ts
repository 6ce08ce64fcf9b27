import { gateNames, providerConfigSchema, routeStrategies } from "@sluice/contract";
import {
  guardOptionsSchema,
  type Guard,
  type GuardRequest,
  type ShadowOptions,
} from "@sluice/guard";
import { z } from "zod";
import { differences } from "./differences.ts";
import { codesIn, codesOf, tableUnder, type Page } from "./read-page.ts";

const heading = "Options of `createGuard`";

export function checkGuardOptions(page: Page): string[] {
  const options = tableUnder(page, heading);
  const nested = GROUPS.flatMap((name) => {
    const table = tableUnder(page, `\`${name}\``);
    const schema = objectIn(guardOptionsSchema.shape[name]);
    return checkTable(table, schema).map((fault) => `${name}: ${fault}`);
  });
  return [
    ...checkTable(options, guardOptionsSchema),
    ...differences(codesOf(tableUnder(page, "A request"), "member"), Object.keys(REQUEST)).map(
      (fault) => `request: ${fault}`,
    ),
    ...differences(codesOf(tableUnder(page, "The shadow"), "option"), Object.keys(SHADOW)).map(
      (fault) => `shadow: ${fault}`,
    ),
    ...nested,
    ...checkTable(tableUnder(page, "A candidate"), providerConfigSchema).map(
      (fault) => `candidate: ${fault}`,
    ),
    ...differences(codesOf(tableUnder(page, "Strategies"), "strategy"), routeStrategies),
    ...checkGates(page),
    ...checkMembers(page),
  ];
}

/** Options that have a table of their own. */
const GROUPS = [
  "route",
  "retry",
  "stream",
  "toolQueue",
  "budget",
  "breaker",
  "tripwire",
] as const satisfies readonly (keyof typeof guardOptionsSchema.shape)[];

/** Each complete, because the compiler sees to it. */
const REQUEST: Readonly<Record<keyof GuardRequest, 0>> = {
  subject: 0,
  attributes: 0,
  run: 0,
  requestId: 0,
  provider: 0,
  signal: 0,
  switches: 0,
};
const SHADOW: Readonly<Record<keyof ShadowOptions, 0>> = {
  costNanoUsdPerDay: 0,
  maxOutputTokens: 0,
};
const MEMBERS: Readonly<Record<keyof Guard<unknown, unknown, unknown, unknown>, 0>> = {
  feature: 0,
  decide: 0,
  execute: 0,
  flow: 0,
  run: 0,
  stream: 0,
  handOver: 0,
  giveUp: 0,
  forLegacy: 0,
  shadow: 0,
  switches: 0,
  textOf: 0,
  isAnswer: 0,
  metered: 0,
  noteResponse: 0,
  probe: 0,
  check: 0,
  kill: 0,
  restore: 0,
  resetTripwire: 0,
  budget: 0,
  inFlight: 0,
  describe: 0,
  flush: 0,
  close: 0,
};

function checkMembers(page: Page): string[] {
  return differences(codesOf(tableUnder(page, "The guard"), "member"), Object.keys(MEMBERS));
}

function checkTable(table: ReturnType<typeof tableUnder>, schema: z.ZodObject): string[] {
  const shape: Readonly<Record<string, z.ZodType>> = schema.shape;
  return [
    ...differences(codesOf(table, "option"), Object.keys(shape)),
    ...table.rows.flatMap((row) =>
      codesIn(row("option")).flatMap((name) => {
        const member = shape[name];
        return member === undefined ? [] : expectDefault(name, row("default"), member);
      }),
    ),
  ];
}

/** `required`, a value as code, or anything else in words for what is optional. */
function expectDefault(name: string, cell: string, schema: z.ZodType): string[] {
  const empty = schema.safeParse(undefined);
  if (!empty.success) return cell === "required" ? [] : [`${name} is required`];
  if (cell === "required") return [`${name} is not required`];
  const value = empty.data;
  const plain = typeof value === "object" ? undefined : value;
  const told = /^`(.*)`$/.exec(cell)?.[1];
  const real = plain === undefined ? undefined : JSON.stringify(plain);
  return told === real ? [] : [`${name}: the default is ${real ?? "none"}`];
}

/** The object below `.optional()` and `.prefault()`. */
function objectIn(schema: z.ZodType): z.ZodObject {
  if (schema instanceof z.ZodObject) return schema;
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodPrefault) {
    return objectIn(schema.unwrap() as z.ZodType);
  }
  throw new Error(`no object is in a ${schema._zod.def.type}`);
}

function checkGates(page: Page): string[] {
  const table = tableUnder(page, "Gates");
  const configurable = Object.keys(objectIn(guardOptionsSchema.shape.gates).shape);
  const documented = codesOf(table, "gate");
  return [
    ...differences(documented, gateNames),
    ...(String(documented) === String(gateNames) ? [] : ["the gates are in another order"]),
    ...table.rows.flatMap((row) =>
      codesIn(row("gate")).flatMap((gate) => {
        const fixed = row("mode") === "always enforced";
        if (fixed === !configurable.includes(gate)) return [];
        return [`${gate} ${fixed ? "has a mode" : "has no mode"}`];
      }),
    ),
  ];
}
