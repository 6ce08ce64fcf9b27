import type { Clock } from "@sluice/contract";

/** A part: the heading of its table, all its options, and the files, or their constants, with its defaults. */
export interface Part {
  readonly heading: string;
  readonly sources: readonly string[];
  readonly options: Readonly<Record<string, Option>>;
}

export interface Option {
  readonly isRequired: boolean;
  /** As the column `type` says it, in tables that have one. */
  readonly kind?: Kind | undefined;
}

type Kind =
  | "boolean"
  | "choice"
  | "clock"
  | "function"
  | "integer"
  | "list"
  | "ms"
  | "number"
  | "object"
  | "text";

export function required<const K extends Kind | undefined = undefined>(kind?: K) {
  return { isRequired: true, kind } as const;
}

export function optional<const K extends Kind | undefined = undefined>(kind?: K) {
  return { isRequired: false, kind } as const;
}

/** All options of a type, what they hold and which have to be given: the compiler sees to it. */
export const all = <Options>(options: Described<Options>): Readonly<Record<string, Option>> =>
  options;

type Described<Options> = {
  readonly [Name in keyof Options]-?: {
    readonly isRequired: object extends Pick<Options, Name> ? false : true;
    readonly kind?: KindOf<Name, Exclude<Options[Name], undefined>> | undefined;
  };
};

/** A type of several kinds is told by any of them. */
type KindOf<Name, Value> = Value extends boolean
  ? "boolean"
  : Value extends number
    ? Name extends `${string}Ms`
      ? "ms"
      : Name extends `${string}Share`
        ? "number"
        : "integer"
    : Value extends string
      ? string extends Value
        ? "text"
        : "choice"
      : Value extends Clock
        ? "clock"
        : Value extends (...args: never) => unknown
          ? "function"
          : Value extends readonly unknown[]
            ? "list"
            : "object";
