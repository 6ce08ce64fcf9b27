import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { ConfigError, describeValue, parseOptions } from "./config-error.ts";

const optionsSchema = z.strictObject({
  model: z.string().min(1),
  percent: z.number().min(0).max(100),
  mode: z.enum(["off", "enforce"]).optional(),
  apiKey: z.string().optional(),
  nested: z.strictObject({ headers: z.array(z.int()).optional() }).optional(),
  flags: z
    .union([z.literal("env"), z.strictObject({ path: z.string(), pollMs: z.int() })])
    .optional(),
});

const good = { model: "m", percent: 5 };

function refusalOf(options: unknown): ConfigError {
  try {
    parseOptions("createThing", optionsSchema, options);
  } catch (error) {
    if (ConfigError.isInstance(error)) return error;
    throw error;
  }
  throw new Error("not refused");
}

/** What could end a line, hide part of it, or turn its direction. */
const forging = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

describe("parsed options", () => {
  it("are what came when nothing is wrong", () => {
    expect(parseOptions("createThing", optionsSchema, good)).toEqual(good);
  });

  it.each([
    [undefined, "createThing: got nothing, expected a value of type object"],
    [null, "createThing: got null, expected a value of type object"],
    ["x", 'createThing: got "x", expected a value of type object'],
    [{ percent: 5 }, "createThing.model: got nothing, expected a value of type string"],
    [{ ...good, model: "" }, 'createThing.model: got "", expected at least 1'],
    [
      { ...good, model: ["m"] },
      "createThing.model: got an array of 1, expected a value of type string",
    ],
    [{ ...good, model: {} }, "createThing.model: got an object, expected a value of type string"],
    [
      { ...good, model: () => "m" },
      "createThing.model: got a function, expected a value of type string",
    ],
    [{ ...good, percent: 101 }, "createThing.percent: got 101, expected at most 100"],
    [{ ...good, percent: -1 }, "createThing.percent: got -1, expected at least 0"],
    [
      { ...good, percent: Number.NaN },
      "createThing.percent: got NaN, expected a value of type number",
    ],
    [{ ...good, percent: "5" }, 'createThing.percent: got "5", expected a value of type number'],
    [{ ...good, mode: "on" }, 'createThing.mode: got "on", expected one of "off", "enforce"'],
    [
      { ...good, modle: "m" },
      "createThing.modle: got an unknown option, expected only documented options",
    ],
    [
      { ...good, nested: { other: 1 } },
      "createThing.nested.other: got an unknown option, expected only documented options",
    ],
    [
      { ...good, nested: { headers: [1, 2.5] } },
      "createThing.nested.headers.1: got 2.5, expected a value of type int",
    ],
    [
      { ...good, flags: { path: "f", pollMs: "x" } },
      'createThing.flags.pollMs: got "x", expected a value of type number',
    ],
  ])("%j are refused in one line: which option, what came, what was expected", (options, line) => {
    expect(refusalOf(options).message).toBe(line);
  });
});

describe("a configuration error", () => {
  const secret = "sk-sentinel-0123456789";

  it.each([
    "provider.apiKey",
    "OPENAI_API_KEY",
    "secret",
    "db.password",
    "headers.authorization",
    "headers.Authorization.0",
    "authToken",
    "credential",
  ])("does not show a secret under the name %s", (option) => {
    expect(describeValue(secret, option)).toBe("a string (not shown)");
    expect(describeValue(12_345, option)).toBe("a number (not shown)");
  });

  it.each(["provider.baseUrl", "OPENAI_BASE_URL", "provider.auth"])(
    "S8 does not show what came under the name %s, which may hold a secret",
    (option) => {
      for (const text of [`ftp://u:${secret}@h`, `h.example/v1?key=${secret}`, secret]) {
        expect(describeValue(text, option)).toBe("a string (not shown)");
      }
    },
  );

  it.each([`https://u:${secret}@h/v1`, `htp://h/v1?key=${secret}`])(
    "S8 does not show the URL %s under any name",
    (url) => {
      expect(describeValue(url, "proxy")).toBe("a URL (not shown)");
    },
  );

  it("does not show a secret of the wrong shape", () => {
    const error = refusalOf({ ...good, apiKey: 12_345_678 });
    expect(error.message).toBe(
      "createThing.apiKey: got a number (not shown), expected a value of type string",
    );
  });

  it.each(["maxOutputTokens", "tokensPerRun", "inputNanoUsdPerToken", "keyboard"])(
    "shows a figure under the name %s, which is no secret",
    (option) => {
      expect(describeValue(-5, option)).toBe("-5");
    },
  );

  it("cuts a long text", () => {
    expect(describeValue("x".repeat(10_000)).length).toBeLessThan(70);
  });

  it("is told by its code, also across two copies of the package", () => {
    const foreign = Object.assign(new Error("x"), { code: "SLUICE_CONFIG" });
    expect(ConfigError.isInstance(foreign)).toBe(true);
    expect(ConfigError.isInstance(new Error("x"))).toBe(false);
    expect(ConfigError.isInstance({ code: "SLUICE_CONFIG" })).toBe(false);
    expect(ConfigError.isInstance(undefined)).toBe(false);
  });

  const marks = [
    "\n",
    "\r",
    "\u0000",
    "\u001b[2J",
    "\u0085",
    "\u2028",
    "\u2029",
    "\u202e",
    "\u2066",
    "\u200b",
    "\ufeff",
    "\ud800",
  ];

  it.each(marks)("can't be forged by the mark %j, wherever it comes in", (mark) => {
    const text = `a${mark}b`;
    const error = new ConfigError({ option: text, got: text, expected: text });
    expect(error.message).not.toMatch(forging);
    expect(error.option).not.toMatch(forging);
    expect(describeValue(text)).not.toMatch(forging);
    expect(refusalOf({ ...good, [text]: 1 }).message).not.toMatch(forging);
    expect(refusalOf({ ...good, mode: text }).message).not.toMatch(forging);
  });

  it("is one plain line whatever comes", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.anything(), (name, value) => {
        expect(describeValue(value, name)).not.toMatch(forging);
        expect(refusalOf({ ...good, [`x${name}`]: value }).message).not.toMatch(forging);
        const error = new ConfigError({ option: name, got: name, expected: name });
        expect(error.message).not.toMatch(forging);
      }),
    );
  });
});

const shared =
  process.env["SLUICE_SHARED_DATA"] ??
  fileURLToPath(new URL("../../../../shared/data", import.meta.url));
const naughtyFile = join(shared, "naughty", "blns.json");
const present = existsSync(naughtyFile);

describe("naughty strings", () => {
  it.skipIf(!present)("as options, values and names make one plain line each", () => {
    const strings = z.array(z.string()).parse(JSON.parse(readFileSync(naughtyFile, "utf8")));
    expect(strings.length).toBeGreaterThan(400);
    for (const text of strings) {
      expect(refusalOf({ ...good, mode: text }).message, text).not.toMatch(forging);
      expect(refusalOf({ ...good, [`${text}?`]: 1 }).message, text).not.toMatch(forging);
    }
  });
});
