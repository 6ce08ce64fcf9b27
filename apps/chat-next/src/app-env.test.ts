import { describe, expect, it } from "vitest";
import { parseAppEnv } from "./app-env.ts";

describe("the app's environment", () => {
  it("needs nothing, and takes an empty variable as an unset one", () => {
    const byDefault = {
      SLUICE_FLAGS_FILE: "flags.env",
      OPENAI_MODEL: "gpt-4o-mini",
      SHUTDOWN_DEADLINE_MS: 10_000,
    };
    expect(parseAppEnv({})).toEqual(byDefault);
    expect(parseAppEnv({ OPENAI_API_KEY: "", SLUICE_FLAGS_FILE: "" })).toEqual(byDefault);
  });

  it("names the variable that is wrong", () => {
    expect(() => parseAppEnv({ OPENAI_MODEL: "x".repeat(200) })).toThrow(
      "environment.OPENAI_MODEL",
    );
  });
});
