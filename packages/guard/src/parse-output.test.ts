import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { parseOutput } from "./parse-output.ts";

const schema = z.object({
  status: z.literal("OK"),
  slots: z.array(z.object({ title: z.string(), minutes: z.int() })),
});
const good = { status: "OK", slots: [{ title: "Fractions ``` and fences", minutes: 25 }] };
const json = JSON.stringify(good);
const parse = (text: string) => parseOutput(schema, { kind: "text", text });
const notJson = { ok: false, code: "OUTPUT_NOT_JSON" };
const invalid = { ok: false, code: "OUTPUT_SCHEMA_INVALID" };

describe("text", () => {
  it.each([
    ["bare", json],
    ["with white space around it", `\n\t ${json}\r\n `],
    ["pretty-printed", JSON.stringify(good, undefined, 2)],
    ["in a fence", `\`\`\`\n${json}\n\`\`\``],
    ["in a fence with a language", `\`\`\`json\n${json}\n\`\`\``],
    ["in a fence with white space around it", `  \n\`\`\`json  \n${json}\n\`\`\`  \n`],
    ["in a fence with CRLF", `\`\`\`json\r\n${json}\r\n\`\`\`\r\n`],
    ["in a fence whose end follows the value", `\`\`\`json\n${json}\`\`\``],
  ])("%s is the value", (_, text) => {
    expect(parse(text)).toEqual({ ok: true, value: good });
  });

  it.each([
    ["nothing", ""],
    ["white space", " \n\t"],
    ["prose", "Here are your slots."],
    ["prose around the value", `Here you are: ${json}`],
    ["a fence after prose", `Here you are:\n\`\`\`json\n${json}\n\`\`\``],
    ["prose after a fence", `\`\`\`json\n${json}\n\`\`\`\nHope that helps!`],
    ["two fences", `\`\`\`json\n${json}\n\`\`\`\n\`\`\`json\n${json}\n\`\`\``],
    ["a fence in a fence", `\`\`\`\n\`\`\`json\n${json}\n\`\`\`\n\`\`\``],
    ["a fence without an end", `\`\`\`json\n${json}`],
    ["a fence without a line of its own", `\`\`\`json ${json}\`\`\``],
    ["an empty fence", "```json\n```"],
    ["three backticks", "```"],
    ["four backticks", "````"],
    ["five backticks", "`````"],
    ["six backticks", "``````"],
    ["a cut value", json.slice(0, -1)],
    ["two values", `${json}${json}`],
    ["a trailing comma", `${json.slice(0, -1)},}`],
    ["JavaScript", "{status: 'OK', slots: []}"],
    ["NaN", "NaN"],
    ["HTML", "<html><body>502 Bad Gateway</body></html>"],
    ["NUL", "\0"],
    ["a byte order mark before the value", `\u{feff}${json}`],
  ])("%s is no JSON", (_, text) => {
    expect(parse(text)).toEqual(notJson);
  });

  it.each([
    ["null", "null"],
    ["a number", "42"],
    ["a JSON string of the value", JSON.stringify(json)],
    ["an array of the value", `[${json}]`],
    ["the value under a key", `{"result":${json}}`],
    ["another status", JSON.stringify({ ...good, status: "FAILED" })],
    ["a missing key", JSON.stringify({ status: "OK" })],
    ["a fraction for an integer", `{"status":"OK","slots":[{"title":"a","minutes":1.5}]}`],
    ["a fence with another value", "```json\n{}\n```"],
  ])("%s does not parse under the contract", (_, text) => {
    expect(parse(text)).toEqual(invalid);
  });

  it("nested beyond what a stack holds is a failure, not a crash", () => {
    expect(parse("[".repeat(200_000)).ok).toBe(false);
    expect(parse(`${"[".repeat(200_000)}${"]".repeat(200_000)}`).ok).toBe(false);
  });

  it("keys that the contract does not name do not leave", () => {
    const text = `{"status":"OK","slots":[],"__proto__":{"x":1},"constructor":1,"extra":"text"}`;
    const parsed = parse(text);
    expect(parsed).toEqual({ ok: true, value: { status: "OK", slots: [] } });
    expect(parsed.ok && Object.keys(parsed.value)).toEqual(["status", "slots"]);
  });

  // A model that falls into endless white space must not stop the process: a million characters took a
  // backtracking expression minutes.
  it.each([
    ["spaces", " "],
    ["line ends", "\n"],
    ["carriage returns and line ends", "\r\n"],
    ["tabs", "\t"],
    ["backticks", "`"],
    ["fences", "\n```"],
    ["fences and spaces", "``` "],
  ])("a million of %s after a fence is answered in linear time", { timeout: 2000 }, (_, unit) => {
    expect(parse(`\`\`\`json\n{"status":"OK"${unit.repeat(1_000_000 / unit.length)}`)).toEqual(
      notJson,
    );
    expect(parse(`${unit.repeat(1_000_000 / unit.length)}x`)).toEqual(notJson);
  });

  it("I2 whatever the text, a value that comes out parses again", () => {
    const piece = fc.oneof(
      fc.string(),
      fc.json(),
      fc.constantFrom("```", "```json\n", "\n```", json, " ", "\r\n"),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
        const parsed = parse(pieces.join(""));
        return parsed.ok
          ? schema.safeParse(parsed.value).success
          : [notJson.code, invalid.code].includes(parsed.code);
      }),
    );
  });
});

describe("a value", () => {
  it("is validated, and copied", () => {
    const value = structuredClone(good);
    const parsed = parseOutput(schema, { kind: "value", value });
    expect(parsed).toEqual({ ok: true, value: good });
    value.slots.length = 0;
    expect(parsed).toEqual({ ok: true, value: good });
  });

  it.each([
    [undefined],
    [null],
    [0],
    [json],
    [[good]],
    [new Map()],
    [{ status: "OK" }],
    [Promise.resolve(good)],
  ])("of another form does not parse: %j", (value) => {
    expect(parseOutput(schema, { kind: "value", value })).toEqual(invalid);
  });
});
