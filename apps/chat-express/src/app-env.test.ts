import { ConfigError } from "@sluice/contract";
import { describe, expect, it } from "vitest";
import { parseAppEnv } from "./app-env.ts";

describe("the app's environment", () => {
  it("needs nothing", () => {
    expect(parseAppEnv({})).toMatchObject({
      PORT: 3000,
      CHAT_HOST: "127.0.0.1",
      OPENAI_MODEL: "gpt-4o-mini",
      CHAT_AI_TIMEOUT_MS: 10_000,
    });
    expect(parseAppEnv({}).SLUICE_FLAGS_FILE).toMatch(/apps[/\\]chat-express[/\\]flags\.env$/);
  });

  it("takes what is set, and what is empty as unset", () => {
    const env = { PORT: "0", OPENAI_API_KEY: "", OPENAI_MODEL: "m", CHAT_AI_TIMEOUT_MS: "" };
    expect(parseAppEnv(env)).toMatchObject({
      PORT: 0,
      OPENAI_MODEL: "m",
      CHAT_AI_TIMEOUT_MS: 10_000,
    });
    expect(parseAppEnv(env).OPENAI_API_KEY).toBeUndefined();
  });

  it.each([
    ["PORT", "a word", "http"],
    ["PORT", "a negative number", "-1"],
    ["PORT", "a number that is no port", "65536"],
    ["PORT", "a fraction", "3000.5"],
    ["PORT", "a hexadecimal number", "0x10"],
    ["PORT", "a number with white space", " 3000"],
    ["PORT", "a very long number", "9".repeat(400)],
    ["PORT", "two lines", "3000\n4000"],
    ["CHAT_AI_TIMEOUT_MS", "a number with a unit", "10s"],
    ["CHAT_AI_TIMEOUT_MS", "no time at all", "0"],
    ["OPENAI_MODEL", "a very long name", "m".repeat(200)],
  ])("refuses a %s that is %s, in one line that names it", (name, _, value) => {
    const parse = () => parseAppEnv({ [name]: value });
    expect(parse).toThrow(ConfigError);
    expect(parse).toThrow(new RegExp(`^environment\\.${name}: got [^\n]{1,200}$`));
  });
});
