import { expect, test } from "vitest";
import { parseEnv } from "./parse-env.ts";

test("the model is the variable's, or the default where it is unset or empty", () => {
  expect(parseEnv({ OPENAI_MODEL: "other" })).toStrictEqual({ model: "other" });
  expect(parseEnv({ OPENAI_MODEL: "" })).toStrictEqual(parseEnv({}));
});

test("a name that no model can have is refused by the variable's name", () => {
  expect(() => parseEnv({ OPENAI_MODEL: "x".repeat(129) })).toThrow(
    /^OPENAI_MODEL: got "x{60}…", /,
  );
});
