import { describe, expect, it } from "vitest";
import { defaultIn } from "./default-in.ts";

const schema = `
const unit = z.enum(["ms", "s"]).default("ms");
const longMs = 60_000;
const optionsSchema = z.strictObject({
  pollMs: z.int().min(1).default(1_000),
  bodyLimitBytes: z
    .int()
    .min(1)
    .default(100 * 1024),
  name: z.string().optional(),
  mode: z.enum(["one", "two"]).default("one"),
  list: z.array(z.string()).default([]),
  unit,
  idleMs: z.int().default(longMs),
});
parse(options, {
    listen: z.boolean().optional(),
    exclusive: z.boolean().default(false),
});
`;

const code = `
export function part(options: Options) {
  const { clock, names = {}, heartbeatMs = 1000, tokens = bytesOf, prefix = "" } = options;
  const { retries = 3 } = other;
  const stop = clock.every(options.beatMs ?? 5_000, beat);
  const everyMs = parse(options.everyMs === undefined ? 300_000 : options.everyMs);
  const label = options.label ?? "part";
}
export async function other({ deadlineMs = 10_000 }: OtherOptions = {}): Promise<void> {}
function pick({ first = 1 }: Row): number {}
`;

describe("the default of an option, in its source", () => {
  it.each([
    ["of a schema's member", schema, "pollMs", "1000"],
    ["of a member of several lines and factors", schema, "bodyLimitBytes", "102400"],
    ["of a choice", schema, "mode", '"one"'],
    ["of a member that is declared before", schema, "unit", '"ms"'],
    ["that has a name", schema, "idleMs", "60000"],
    ["of a member that is written further in", schema, "exclusive", "false"],
    ["of what is taken out of the options", code, "heartbeatMs", "1000"],
    ["of what stands in for nothing", code, "beatMs", "5000"],
    ["of what stands in for undefined", code, "everyMs", "300000"],
    ["of what is taken out of a parameter", code, "deadlineMs", "10000"],
    ["of a text that stands in", code, "label", '"part"'],
  ] as const)("is read: %s", (_, source, name, value) => {
    expect(defaultIn(source, name)).toBe(value);
  });

  it.each([
    ["a member without one, though another follows", schema, "name"],
    ["the same further in", schema, "listen"],
    ["an empty list", schema, "list"],
    ["an empty object", code, "names"],
    ["an empty text", code, "prefix"],
    ["a function", code, "tokens"],
    ["what is taken out of something else", code, "retries"],
    ["what is taken out of a parameter that holds no options", code, "first"],
    ["what is not there", code, "absent"],
  ] as const)("is none that is a value: %s", (_, source, name) => {
    expect(defaultIn(source, name)).toBeUndefined();
  });
});
