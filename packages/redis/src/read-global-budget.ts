import type { BudgetUse } from "@sluice/contract";
import { reservationBytes } from "./budget-lua.ts";
import { createKeys } from "./keys.ts";

/** What is read with. ioredis' `Redis` and `Cluster` have it. */
export interface BudgetClient {
  hgetallBuffer(key: string): Promise<Readonly<Record<string, Buffer>>>;
  /** Seconds and microseconds, by Redis' own clock. */
  time(): Promise<readonly (number | string)[]>;
}

export interface ReadGlobalBudgetOptions {
  /** Of the stores that share the budget. */
  readonly namespace: string;
  /** In their time zone, as 2026-11-28. */
  readonly day: string;
}

/** What a day's budget of all subjects is charged with; its three parts added up are what caps look at. */
export interface GlobalBudgetUse {
  /** Calls that ended, by the usage they told, or by their reservation where they told none. */
  readonly settled: BudgetUse;
  /** Set aside for calls that run. */
  readonly open: BudgetUse;
  /** Prompts of calls that nobody settled in time; what was set aside for their output is given back. */
  readonly expired: BudgetUse;
}

/** One field of a day's hash that is a reservation. */
interface Reservation {
  /** When its time is up, by Redis' clock; undefined where that was seen and its output given back. */
  readonly dueMs: number | undefined;
  readonly whole: BudgetUse;
  /** What stays charged once its time is up. */
  readonly prompt: BudgetUse;
}

/**
 * Reads the budget of all subjects of one day. Changes nothing, and needs no secret: it names no subject.
 * A reservation whose time is up counts as expired, also where no decision has come by since.
 * @returns undefined where there is none: nobody counted on that day, or Redis no longer keeps it
 * @throws TypeError where something else stands in its place; rejects with Redis' error.
 */
export async function readGlobalBudget(
  client: BudgetClient,
  { namespace, day }: ReadGlobalBudgetOptions,
): Promise<GlobalBudgetUse | undefined> {
  const key = createKeys(namespace, "").budgets(day);
  const [fields, [seconds, microseconds]] = await Promise.all([
    client.hgetallBuffer(key),
    client.time(),
  ]);
  const entries = Object.entries(fields);
  if (entries.length === 0) return undefined;
  const nowMs = Number(seconds) * 1000 + Number(microseconds) / 1000;
  let settled: BudgetUse = {
    calls: toNumber(fields["c"]),
    tokens: toNumber(fields["t"]),
    costNanoUsd: toNumber(fields["m"]),
  };
  let open = nothing;
  let expired = nothing;
  for (const [name, packed] of entries) {
    // Longer names are ids of calls.
    if (name.length === 1) continue;
    const reservation = parseReservation(packed);
    if (reservation === undefined) continue;
    const { dueMs, whole, prompt } = reservation;
    settled = add(settled, dueMs === undefined ? prompt : whole, -1);
    if (dueMs !== undefined && dueMs > nowMs) open = add(open, whole);
    else expired = add(expired, prompt);
  }
  return { settled, open, expired };
}

const nothing: BudgetUse = { calls: 0, tokens: 0, costNanoUsd: 0 };

/** As scripts write it. Undefined where only the subject was charged. */
function parseReservation(packed: Buffer): Reservation | undefined {
  const at = (place: number): number => toFinite(packed.readDoubleLE(place * 8));
  if (packed.length < reservationBytes) throw notABudget();
  const [dueMs, inputTokens, outputTokens, priceIn, priceOut] = [at(0), at(1), at(2), at(3), at(4)];
  if (outputTokens < 0) return undefined;
  const prompt: BudgetUse = {
    calls: 1,
    tokens: inputTokens,
    costNanoUsd: inputTokens * priceIn,
  };
  const answer: BudgetUse = {
    calls: 0,
    tokens: outputTokens,
    costNanoUsd: outputTokens * priceOut,
  };
  return { dueMs: dueMs < 0 ? undefined : dueMs, whole: add(prompt, answer), prompt };
}

function add(one: BudgetUse, other: BudgetUse, times = 1): BudgetUse {
  return {
    calls: one.calls + times * other.calls,
    tokens: one.tokens + times * other.tokens,
    costNanoUsd: one.costNanoUsd + times * other.costNanoUsd,
  };
}

/** @throws TypeError */
function toNumber(value: Buffer | undefined): number {
  const text = value?.toString() ?? "";
  return toFinite(text === "" ? Number.NaN : Number(text));
}

/** @throws TypeError */
function toFinite(number: number): number {
  if (Number.isFinite(number)) return number;
  throw notABudget();
}

const notABudget = (): TypeError =>
  new TypeError("the day's budget in Redis is not as a store writes it");
