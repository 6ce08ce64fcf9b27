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
      "a default that stands in for an option",
      ["| `heartbeatMs` | ms | 1000 |", "| `heartbeatMs` | ms | 2000 |"],
      "`sqlFlags`: heartbeatMs: the default is 1000",
    ],
    [
      "a default where an option is undefined",
      ["| `everyMs` | ms | 300000 |", "| `everyMs` | ms | 3600000 |"],
      "`latencyRollup`: everyMs: the default is 300000",
    ],
    [
      "a default of one schema among others",
      ["| `transactionMs` | ms | 10000 |", "| `transactionMs` | ms | 5000 |"],
      "The socket: transactionMs: the default is 10000",
    ],
    [
      "a default that several members share",
      ['| `timeZone` | text | "UTC" |', '| `timeZone` | text | "CET" |'],
      '`redisAdmission`: timeZone: the default is "UTC"',
    ],
    [
      "a missing option of a flag source",
      ["| `exclusive` |", "| |"],
      "`sqlFlags`: exclusive is not documented",
    ],
    [
      "an invented option of a store",
      ["| `reservationMs` |", "| `holdMs` |"],
      "`redisAdmission`: holdMs is documented and does not exist",
    ],
    [
      "what is required",
      ["| `instanceId` | text | required |", "| `instanceId` | text | none |"],
      "`redisAdmission`: instanceId is required",
    ],
    [
      "what is not required",
      ["| `folder` | text | none: rows are in memory |", "| `folder` | text | required |"],
      "`pglite`: folder is not required",
    ],
    [
      "a type",
      ["| `features` | list | required |", "| `features` | text | required |"],
      "`openFeatureFlags`: features: the type is list",
    ],
    [
      "a part that is in no package",
      ["`sqlInstance`, `recordWriter`,", "`recordWriter`,"],
      "Where they are: sqlInstance is not documented",
    ],
    [
      "a part in the wrong package",
      ["`redisAdmission`, `connectRedis` |", "`redisAdmission`, `connectRedis`, `pglite` |"],
      "Where they are: pglite is not in @sluice/redis",
    ],
    [
      "a part without options",
      ["`countResponses(guard)` has no options", "`countResponses(guard, options)`"],
      "countResponses: it is not told that `countResponses(guard)` has no options",
    ],
    [
      "a part that another package has too",
      ["`fetchGateway`, `countResponses` |", "`fetchGateway` |"],
      "Where they are: countResponses is in @sluice/gateway too",
    ],
    [
      "a default of the gateway",
      ["| `bodyLimitBytes` | integer | 1048576 |", "| `bodyLimitBytes` | integer | 102400 |"],
      "`chatGateway`: bodyLimitBytes: the default is 1048576",
    ],
    [
      "a missing option of the gateway's shadow",
      ["| `maxMirrors` |", "| |"],
      "Beside the legacy handler: maxMirrors is not documented",
    ],
    [
      "a default of a parameter",
      ["| `deadlineMs` | ms | 10000 |", "| `deadlineMs` | ms | 30000 |"],
      "`registerDrain`, `drainGateways`: deadlineMs: the default is 10000",
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
