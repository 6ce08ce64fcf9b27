import { configuredNameSchema, describeValue } from "@sluice/contract";
import { InvalidArgumentError } from "commander";

/** `true` or `false`, nothing else. */
export function parseBoolean(value: string): boolean {
  if (value === "true") return true;
  if (value === "false") return false;
  throw new InvalidArgumentError(`Got ${describeValue(value)}, expected true or false.`);
}

/** Plain decimal digits within the bounds, which are at most what a bigint holds safely in JavaScript. */
export function integerIn(min: number, max: number): (value: string) => number {
  return (value) => {
    const integer = /^-?\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
    if (integer >= min && integer <= max) return integer;
    throw new InvalidArgumentError(
      `Got ${describeValue(value)}, expected an integer, ${String(min)} to ${String(max)}.`,
    );
  };
}

/** An integer, 0 to 100. */
export const parsePercent = integerIn(0, 100);

/** An integer from 1 to what a bigint holds safely in JavaScript. */
export function parseCount(value: string): number {
  const count = /^\d{1,15}$/.test(value) ? Number(value) : 0;
  if (count === 0) {
    throw new InvalidArgumentError(`Got ${describeValue(value)}, expected an integer from 1.`);
  }
  return count;
}

/** `none`, which commander can't hand on as null, or what the other parser makes of it. */
export function orNone<Value>(parse: (value: string) => Value): (value: string) => Value | "none" {
  return (value) => (value === "none" ? "none" : parse(value));
}

/** A name that stands in events, headers and lines of logs. */
export function parseName(value: string): string {
  const { success, error } = configuredNameSchema.safeParse(value);
  if (success) return value;
  const expected = error.issues[0]?.message ?? "a name";
  throw new InvalidArgumentError(`Got ${describeValue(value)}, expected ${expected}.`);
}

/** Text that PostgreSQL can hold. */
export function parseText(value: string): string {
  if (value.includes("\0") || !value.isWellFormed()) {
    throw new InvalidArgumentError("Got NUL or a lone surrogate, which no text in SQL holds.");
  }
  return value;
}

function parseId(value: string): string {
  if (value === "") throw new InvalidArgumentError("Got nothing, expected an id.");
  return parseText(value);
}

/** Collects a variadic argument of ids; false, of an option's `--no-` form before it, counts as none. */
export function parseIds(
  value: string,
  previous: readonly string[] | false = [],
): readonly string[] {
  return [...(previous === false ? [] : previous), parseId(value)];
}
