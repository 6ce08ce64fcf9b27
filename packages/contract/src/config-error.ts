import type { z } from "zod";

/**
 * The application configured Sluice wrongly. The message is one line: which option or variable, what
 * came, what was expected.
 */
export class ConfigError extends Error {
  readonly code = "SLUICE_CONFIG";
  /** The option or variable, for example `createGuard.budget.callsPerRun`. */
  readonly option: string;

  constructor(fault: { readonly option: string; readonly got: string; readonly expected: string }) {
    const option = oneLine(fault.option);
    super(`${option}: got ${oneLine(fault.got)}, expected ${oneLine(fault.expected)}`);
    this.name = "ConfigError";
    this.option = option;
  }

  /** True also for an error of another copy of this package. */
  static isInstance(error: unknown): error is ConfigError {
    return error instanceof Error && (error as { code?: unknown }).code === "SLUICE_CONFIG";
  }
}

/**
 * Parses options at a public border; the first fault becomes a {@link ConfigError}. Unknown options are
 * faults when `schema` is strict.
 */
export function parseOptions<S extends z.ZodType>(
  where: string,
  schema: S,
  options: unknown,
): z.output<S> {
  const parsed = schema.safeParse(options);
  if (parsed.success) return parsed.data;
  throw toConfigError(where, options, parsed.error.issues[0]);
}

function toConfigError(
  where: string,
  options: unknown,
  issue: z.core.$ZodIssue | undefined,
): ConfigError {
  if (issue === undefined) return new ConfigError({ option: where, got: "?", expected: "?" });
  if (issue.code === "unrecognized_keys") {
    const option = [where, ...issue.path.map(String), String(issue.keys[0])].join(".");
    return new ConfigError({
      option,
      got: "an unknown option",
      expected: "only documented options",
    });
  }
  if (issue.code === "invalid_union") {
    const closest = issue.errors.find((issues) => (issues[0]?.path.length ?? 0) > 0);
    const inner = closest?.[0];
    if (inner !== undefined) {
      return toConfigError(where, options, { ...inner, path: [...issue.path, ...inner.path] });
    }
  }
  const option = [where, ...issue.path.map(String)].join(".");
  return new ConfigError({
    option,
    got: describeValue(valueAt(options, issue.path), option),
    expected: expectedOf(issue),
  });
}

function expectedOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return `a value of type ${issue.expected}`;
    case "invalid_value":
      return `one of ${issue.values.map((value) => JSON.stringify(value)).join(", ")}`;
    case "too_small":
      return `${issue.inclusive === false ? "more than" : "at least"} ${String(issue.minimum)}`;
    case "too_big":
      return `${issue.inclusive === false ? "less than" : "at most"} ${String(issue.maximum)}`;
    default:
      return issue.message;
  }
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root;
  for (const key of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

/**
 * The end of any part of an option's path: `provider.apiKey`, `headers.authorization.0`. A URL often holds
 * a key, in its query or before its host, also where it is too wrong to be parsed.
 */
const secretName =
  /(?:key|secret|password|auth|authorization|credential|url|(?<!per)token)(?:\.|$)/i;

/** A configured value in few words, safe for one line of a log; a secret is named, never shown. */
export function describeValue(value: unknown, option = ""): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (typeof value !== "object" && secretName.test(option)) return `a ${typeof value} (not shown)`;
  switch (typeof value) {
    case "string":
      // With credentials or a query, whatever the option's name.
      if (value.includes("://") && /[@?]/.test(value)) return "a URL (not shown)";
      return oneLine(JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value));
    case "number":
    case "boolean":
    case "bigint":
      return String(value);
    case "function":
      return "a function";
    case "symbol":
      return "a symbol";
    default:
      return Array.isArray(value) ? `an array of ${value.length}` : "an object";
  }
}

/** Control characters, line and bidirectional marks could forge or hide a line of a log. */
export function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, "\u{fffd}");
}
