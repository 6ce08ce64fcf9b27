import { describe, expect, it } from "vitest";
import { checkEnvironment } from "./check-environment.ts";
import { plant } from "./plant.ts";
import { readPage } from "./read-page.ts";
import { readText } from "./repository.ts";

const text = readText("docs/reference/environment.md");

describe("the page of the environment", () => {
  it("lists the variables that are read, what unset means and what malformed", () => {
    expect(checkEnvironment(readPage(text))).toEqual([]);
  });

  it.each([
    ["a missing flag", ["`<NAME>_KILL`", "the kill"], "<NAME>_KILL is not documented"],
    [
      "what a flag is unset",
      ["| 100 | 0 |", "| 0 | 0 |"],
      "<NAME>_ROLLOUT_PERCENT, unset: the code says 100",
    ],
    [
      "what a flag is malformed",
      ["| no kill | killed |", "| no kill | no kill |"],
      "<NAME>_KILL, malformed: the code says killed",
    ],
    ["a value that kills", ["`0` are no kill", "`no` are no kill"], "no is a kill"],
    [
      "an invented switch",
      ["`FF_TOOL_QUEUE_ENFORCE`", "`FF_TOOLS`"],
      "FF_TOOLS is documented and does not exist",
    ],
    [
      "what a switch is malformed",
      ["`FF_CHAT_GATEWAY_SHADOW` | false | true |", "`FF_CHAT_GATEWAY_SHADOW` | false | false |"],
      "FF_CHAT_GATEWAY_SHADOW, malformed: the code says true",
    ],
    [
      "who obeys a switch",
      ["| false | false | each guard |", "| false | false | nobody yet |"],
      "FF_TOOL_QUEUE_ENFORCE, obeyed by: the code says each guard",
    ],
    ["a missing key", ["| `OPENAI_API_KEY` |", "| the key |"], "OPENAI_API_KEY is not documented"],
    ["a missing variable of the app", ["| `CHAT_HOST` |", "| |"], "CHAT_HOST is not documented"],
    [
      "a default of the app",
      ["| 10000 |", "| 1000 |"],
      "CHAT_AI_TIMEOUT_MS, default: the code says 10000",
    ],
  ] as const)("is held to it: %s", (_, [good, bad], fault) => {
    expect(checkEnvironment(readPage(plant(text, good, bad)))).toContain(fault);
  });
});
