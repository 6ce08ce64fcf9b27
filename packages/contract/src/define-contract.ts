import { z } from "zod";
import { toAskableSchema, type AskableSchema } from "./askable-schema.ts";
import { ConfigError, describeValue, parseOptions } from "./config-error.ts";

/** A member of a contract: a zod object whose `status` is a literal of its own. */
export type Member = z.ZodObject<{ status: z.ZodLiteral<string> } & z.core.$ZodLooseShape>;

const textRulesSchema = z.strictObject({
  /** The string of the object member that the model's text becomes. */
  field: z.string().min(1),
  /** The most UTF-16 units of the text. */
  maxChars: z.int().min(1).max(10_000_000).default(65_536),
  /** Text that must not appear, whatever its case; what could be its start is held back. */
  forbidden: z.array(z.string().min(1).max(1024)).max(10_000).readonly().default([]),
});

/** How an answer of plain text may flow before it is whole. */
export type TextRules = Readonly<z.output<typeof textRulesSchema>>;

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
  /** What the model is asked for: the object member only; undefined where it is plain text. */
  readonly askable: AskableSchema | undefined;
  /** Set where the model's answer is plain text. */
  readonly text: TextRules | undefined;
}

/**
 * Defines a contract. The members are zod objects told apart by the literal of their `status`. With
 * `text` the model writes plain text, which becomes that field of the object member and may be streamed
 * as it flows.
 * @throws ConfigError when a member is missing or no object, two share a status, or the object member
 * can't be asked for in OpenAI's strict mode; the message names the path.
 */
export function defineContract<
  Ok extends Member,
  Failed extends Member,
  Stub extends Member,
>(members: {
  readonly ok: Ok;
  readonly failed: Failed;
  readonly stub: Stub;
  readonly text?: z.input<typeof textRulesSchema>;
}): Contract<Ok, Failed, Stub>;
export function defineContract<Ok extends Member, Failed extends Member>(members: {
  readonly ok: Ok;
  readonly failed: Failed;
  readonly text?: z.input<typeof textRulesSchema>;
}): Contract<Ok, Failed, Ok>;
export function defineContract(members: {
  readonly ok: Member;
  readonly failed: Member;
  readonly stub?: Member;
  readonly text?: z.input<typeof textRulesSchema>;
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
    if (name !== "ok" && name !== "failed" && name !== "stub" && name !== "text") {
      throw new ConfigError({
        option: `${where}.${name}`,
        got: "an unknown option",
        expected: "only ok, failed, stub and text",
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
  const text =
    members.text === undefined
      ? undefined
      : parseOptions(`${where}.text`, textRulesSchema, members.text);
  if (text !== undefined) assertTextField(`${where}.text.field`, members.ok, text.field);
  return {
    ok: members.ok,
    failed: members.failed,
    stub: members.stub ?? members.ok,
    askable: text === undefined ? toAskableSchema(`${where}.ok`, members.ok) : undefined,
    text,
  };
}

/** Besides its text nothing of the object member may need the model. */
function assertTextField(option: string, ok: Member, field: string): void {
  const shape: Readonly<Record<string, z.ZodType>> = ok.shape;
  const own = Object.hasOwn(shape, field) && field !== "status" ? shape[field] : undefined;
  if (own === undefined || own._zod.def.type !== "string") {
    throw new ConfigError({
      option,
      got: describeValue(field),
      expected: "the name of a z.string() of the ok member",
    });
  }
  const other = Object.keys(shape).find((name) => name !== field && name !== "status");
  if (other === undefined) return;
  throw new ConfigError({
    option,
    got: `an ok member with ${describeValue(other)} too`,
    expected: "one with status and this field only, because the model writes nothing else",
  });
}

/** The object member's value of a text, before it is parsed. */
export function toTextValue(contract: Pick<Contract, "ok">, field: string, text: string): unknown {
  const { status } = (contract.ok as Member).shape;
  return { status: status.def.values[0], [field]: text };
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
