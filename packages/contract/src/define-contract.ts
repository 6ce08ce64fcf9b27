import { z } from "zod";
import { toAskableSchema, type AskableSchema } from "./askable-schema.ts";
import { ConfigError, describeValue } from "./config-error.ts";

/** A member of a contract: a zod object whose `status` is a literal of its own. */
export type Member = z.ZodObject<{ status: z.ZodLiteral<string> } & z.core.$ZodLooseShape>;

/** What may leave the guard: the value asked for, the FAILED value, and the stub's where it differs. */
export interface Contract<
  Ok extends z.ZodType = z.ZodType,
  Failed extends z.ZodType = z.ZodType,
  Stub extends z.ZodType = Ok,
> {
  readonly ok: Ok;
  readonly failed: Failed;
  /** The same schema as `ok` where none was given. */
  readonly stub: Stub;
  /** What the model is asked for: the object member only. */
  readonly askable: AskableSchema;
}

/**
 * Defines a contract. The members are zod objects told apart by the literal of their `status`.
 * @throws ConfigError when a member is missing or no object, two share a status, or the object member
 * can't be asked for in OpenAI's strict mode; the message names the path.
 */
export function defineContract<Ok extends Member, Failed extends Member>(members: {
  readonly ok: Ok;
  readonly failed: Failed;
}): Contract<Ok, Failed, Ok>;
export function defineContract<
  Ok extends Member,
  Failed extends Member,
  Stub extends Member,
>(members: {
  readonly ok: Ok;
  readonly failed: Failed;
  readonly stub: Stub;
}): Contract<Ok, Failed, Stub>;
export function defineContract(members: {
  readonly ok: Member;
  readonly failed: Member;
  readonly stub?: Member;
}): Contract {
  const where = "defineContract";
  if (typeof members !== "object" || members === null) {
    throw new ConfigError({
      option: where,
      got: describeValue(members),
      expected: "an object with ok, failed and, where it differs, stub",
    });
  }
  for (const name of Object.keys(members)) {
    if (name !== "ok" && name !== "failed" && name !== "stub") {
      throw new ConfigError({
        option: `${where}.${name}`,
        got: "an unknown option",
        expected: "only ok, failed and stub",
      });
    }
  }
  const seen = new Map<string, string>();
  for (const name of ["ok", "failed", "stub"] as const) {
    const member: unknown = members[name];
    if (member === undefined && name === "stub") continue;
    for (const status of statusesOf(`${where}.${name}`, member)) {
      const other = seen.get(status);
      if (other !== undefined) {
        throw new ConfigError({
          option: `${where}.${name}.status`,
          got: `${JSON.stringify(status)}, which ${other} has too`,
          expected: "a status of its own",
        });
      }
      seen.set(status, name);
    }
  }
  return {
    ok: members.ok,
    failed: members.failed,
    stub: members.stub ?? members.ok,
    askable: toAskableSchema(`${where}.ok`, members.ok),
  };
}

function statusesOf(where: string, member: unknown): string[] {
  if (!(member instanceof z.core.$ZodType)) {
    throw new ConfigError({ option: where, got: describeValue(member), expected: "a zod object" });
  }
  const def = (member as z.ZodType)._zod.def;
  if (def.type !== "object") {
    throw new ConfigError({
      option: where,
      got: `a zod ${def.type}`,
      expected: "a zod object (a root union can't be asked for)",
    });
  }
  const shape: Readonly<Record<string, z.ZodType | undefined>> = (member as z.ZodObject).shape;
  const statusDef = shape["status"]?._zod.def as
    | { readonly type: string; readonly values?: readonly unknown[] }
    | undefined;
  const values = statusDef?.type === "literal" ? (statusDef.values ?? []) : [];
  if (values.length === 0 || !values.every((value) => typeof value === "string")) {
    throw new ConfigError({
      option: `${where}.status`,
      got: statusDef === undefined ? "nothing" : `a zod ${statusDef.type}`,
      expected: "a z.literal of a string",
    });
  }
  return values as string[];
}
