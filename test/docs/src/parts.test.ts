import { describe, expect, it } from "vitest";
import { checkParts } from "./check-parts.ts";
import { plant } from "./plant.ts";
import { readPage } from "./read-page.ts";
import { readText } from "./repository.ts";

const text = readText("docs/reference/parts.md");

describe("the page of the parts", () => {
  it("lists the options of each part and their defaults", () => {
    expect(checkParts(readPage(text))).toEqual([]);
  });

  it.each([
    ["a missing option", ["| `onOutcome` |", "| |"], "`guardRoute`: onOutcome is not documented"],
    [
      "an invented option",
      ["| `prompt` |", "| `question` |"],
      "`openaiProvider`: question is documented and does not exist",
    ],
    [
      "a default",
      ["| 102400 |", "| 1048576 |"],
      "`guardRoute`: bodyLimitBytes: the default is 102400",
    ],
    [
      "a default of several factors",
      ["| 86400000 |", "| 3600000 |"],
      "`memoryBudgets`: runIdleMs: the default is 86400000",
    ],
    [
      "a default in words",
      ['| "function" |', "| none |"],
      '`functionProvider`: name: the default is "function"',
    ],
    [
      "a default of the text's rules",
      ["| 65536 |", "| 1000 |"],
      "Plain text: maxChars: the default is 65536",
    ],
    [
      "a default of a tool",
      ["| 10000 |", "| 5000 |"],
      "`defineTool`: timeoutMs: the default is 10000",
    ],
    [
      "a default of a choice",
      ['| "max_tokens" |', '| "max_completion_tokens" |'],
      '`customProvider`: maxTokensField: the default is "max_tokens"',
    ],
    [
      "a missing option of the AI SDK's model",
      ["| `fallback` |", "| |"],
      "`guardedLanguageModel`: fallback is not documented",
    ],
    [
      "a default that is none",
      ["| `userInFlight` | none |", "| `userInFlight` | 2 |"],
      "`memoryAdmission`: userInFlight: the default is none that is a value",
    ],
  ] as const)("is held to it: %s", (_, [good, bad], fault) => {
    expect(checkParts(readPage(plant(text, good, bad)))).toContain(fault);
  });
});
