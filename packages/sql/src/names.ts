import { createHash } from "node:crypto";
import { ConfigError, parseOptions } from "@sluice/contract";
import { z } from "zod";

export interface SqlNameOptions {
  /** Where our tables stand; default `public`. */
  readonly schema?: string;
  /** Before each name of ours, as in `p3_`; default none. */
  readonly prefix?: string;
  /** The flag table's full name where it is not prefix + `feature_state`. */
  readonly flagTable?: string;
}

/** Where our tables stand in a database. */
export interface SqlNames {
  readonly schema: string;
  /** What changes are announced on; safe as an identifier without quotes. */
  readonly channel: string;
  /** `flag_audit` as `"public"."p3_flag_audit"`. */
  table(name: string): string;
  /**
   * A migration with these names. In it every double-quoted name is an object of ours and nothing else
   * is double-quoted; `"public"` is the schema and `'sluice_changed'` the channel. Behind CREATE INDEX,
   * TRIGGER and CONSTRAINT, where SQL takes no schema, only the prefix is added.
   */
  render(script: string): string;
}

const pattern = /^[a-z_][a-z0-9_]{0,40}$/u;
const prefixPattern = /^(?:[a-z_][a-z0-9_]{0,40})?$/u;
const flagTableName = "feature_state";
// Longer names are cut by PostgreSQL with no error, and two may become one.
const longest = 63;

const quotedNames =
  /(?<bare>\b(?:CREATE\s+(?:UNIQUE\s+)?INDEX\s+(?:CONCURRENTLY\s+)?(?:IF\s+NOT\s+EXISTS\s+)?|TRIGGER\s+(?:IF\s+EXISTS\s+)?|CONSTRAINT\s+(?:IF\s+EXISTS\s+)?))?"(?<name>[a-z_][a-z0-9_]*)"/giu;

const expected = "lower-case letters, digits and _, at most 41, no digit first";
const optionsSchema = z.strictObject({
  schema: z.string().regex(pattern, { error: expected }).default("public"),
  prefix: z.string().regex(prefixPattern, { error: expected }).default(""),
  flagTable: z.string().regex(pattern, { error: expected }).optional(),
});

/** @throws ConfigError naming the option that is no plain lower-case name, or is no such option. */
export function sqlNames(options: SqlNameOptions = {}): SqlNames {
  const { schema, prefix, flagTable } = parseOptions("names", optionsSchema, options);
  const settings =
    schema === "public" && prefix === ""
      ? ""
      : `_${createHash("sha256").update(`${schema}.${prefix}`).digest("hex").slice(0, 16)}`;
  const channel = `sluice_changed${settings}`;

  const prefixed = (name: string): string => {
    const full = name === flagTableName && flagTable !== undefined ? flagTable : prefix + name;
    if (full.length > longest) {
      throw new ConfigError({
        option: "names.prefix",
        got: prefix,
        expected: `a prefix that leaves room for ${name} within ${String(longest)} characters`,
      });
    }
    return `"${full}"`;
  };
  const table = (name: string): string => `"${schema}".${prefixed(name)}`;

  return {
    schema,
    channel,
    table,
    render: (script) =>
      script
        .replaceAll(quotedNames, (_match, bare: string | undefined, name: string) => {
          if (bare !== undefined) {
            return `${bare}${prefixed(name)}`;
          }
          return name === "public" ? `"${schema}"` : table(name);
        })
        .replaceAll("'sluice_changed'", `'${channel}'`),
  };
}
