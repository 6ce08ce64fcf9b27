import { describeValue } from "@sluice/contract";
import { InvalidArgumentError } from "commander";

/** `true` or `false`, nothing else. */
export function parseBoolean(value: string): boolean {
  if (value === "true") return true;
  if (value === "false") return false;
  throw new InvalidArgumentError(`Got ${describeValue(value)}, expected true or false.`);
}

/** An integer, 0 to 100. */
export function parsePercent(value: string): number {
  const percent = /^\d{1,3}$/.test(value) ? Number(value) : 101;
  if (percent > 100) {
    throw new InvalidArgumentError(`Got ${describeValue(value)}, expected an integer, 0 to 100.`);
  }
  return percent;
}

/** An integer from 1 to what a bigint holds safely in JavaScript. */
export function parseCount(value: string): number {
  const count = /^\d{1,15}$/.test(value) ? Number(value) : 0;
  if (count === 0) {
    throw new InvalidArgumentError(`Got ${describeValue(value)}, expected an integer from 1.`);
  }
  return count;
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

/** Collects a variadic argument of ids. */
export function parseIds(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, parseId(value)];
}
