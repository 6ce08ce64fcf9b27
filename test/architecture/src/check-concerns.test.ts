import { describe, expect, test } from "vitest";
import { checkConcerns } from "./check-concerns.ts";
import { CONCERNS } from "./concerns.ts";
import { plantedTree } from "./planted-tree.ts";
import { describeViolations } from "./violation.ts";

const found = (path: string, source: string): string[] =>
  describeViolations(checkConcerns(plantedTree({ [path]: source }), CONCERNS));

const planted = (source: string): string[] => found("packages/guard/src/planted.ts", source);

const PLANTS: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  "time and timers": [
    ["Date.now", "const now = Date.now();"],
    ["Date.now", "const now = globalThis.Date.now;"],
    ["Date.now", "const { now } = Date;"],
    ["new Date()", "const now = new Date();"],
    ["performance.now", "const now = performance.now();"],
    ["perf_hooks.performance", `import { performance as p } from "node:perf_hooks";`],
    ["process.hrtime.bigint", "const now = process.hrtime.bigint();"],
    ["setTimeout", "setTimeout(() => {}, 1);"],
    ["setTimeout", "const timers = { setTimeout };"],
    ["setInterval", "const every = setInterval;"],
    ["timers.setTimeout", `import { setTimeout as later } from "node:timers";`],
    [
      "timers/promises.setTimeout",
      `import * as wait from "node:timers/promises"; wait.setTimeout(1);`,
    ],
    ["AbortSignal.timeout", "const signal = AbortSignal.timeout(1);"],
  ],
  "randomness and ids": [
    ["Math.random", "const dice = Math.random();"],
    ["crypto.randomUUID", "const id = crypto.randomUUID();"],
    ["crypto.randomUUID", `const id = globalThis.crypto["randomUUID"]();`],
    ["crypto.randomUUID", `import { randomUUID } from "node:crypto";`],
    ["crypto.randomBytes", `import nodeCrypto from "node:crypto"; nodeCrypto.randomBytes(8);`],
    ["crypto.getRandomValues", "crypto.getRandomValues(bytes);"],
  ],
  "the environment": [
    ["process.env.PATH", "const path = process.env.PATH;"],
    ["process.env", "const { env } = process;"],
    ["process.env", "const all = { ...process.env };"],
    ["process.env.PATH", "const path = (process as Process)?.env.PATH;"],
    ["process.env", `import { env } from "node:process";`],
  ],
};

for (const [concern, plants] of Object.entries(PLANTS)) {
  describe(`${concern}: use out of place is caught`, () => {
    test.each(plants)("%s in %s", (name, source) => {
      expect(planted(source)).toEqual([
        `packages/guard/src/planted.ts:1 has ${name}, which belongs with ${concern}`,
      ]);
    });
  });
}

describe("text out of place is caught", () => {
  test.each([
    ["SQL text", "select 1 from feature_state"],
    ["SQL text", "INSERT INTO flag_audit VALUES (1)"],
    ["SQL text", "UPDATE ${table} SET killed = true"],
    ["SQL text", "delete from rollouts"],
    ["SQL text", "create table if not exists rollouts ()"],
    ["SQL text", "CREATE OR REPLACE FUNCTION bump() RETURNS trigger"],
    ["SQL text", "with windows as (select 1)"],
    ["Lua", "return redis.call('GET', KEYS[1])"],
    ["telemetry names", "sluice.decision.reason"],
    ["telemetry names", "gen_ai.request.model"],
  ])("%s: %s", (concern, text) => {
    const violations = planted(`export const text = \`${text}\`;`);
    expect(violations).toHaveLength(1);
    expect(violations[0]).toContain(`which belongs with ${concern}`);
  });
});

test("each concern may be in its place", () => {
  expect(found("packages/guard/src/system-clock.ts", "setTimeout(() => Date.now());")).toEqual([]);
  expect(found("packages/guard/src/ids.ts", "crypto.randomUUID();")).toEqual([]);
  expect(found("packages/guard/src/flags/env-flags.ts", "process.env;")).toEqual([]);
  expect(found("packages/sql/src/flags.ts", `"select 1 from flags";`)).toEqual([]);
});

test.each([
  "packages/guard/src/planted.test.ts",
  "packages/testkit/src/planted.ts",
  "packages/cli/src/planted.ts",
  "apps/chat/src/main.ts",
  "test/bench/src/main.ts",
])("%s may reach for anything", (path) => {
  expect(found(path, "setTimeout(() => process.env, Math.random());")).toEqual([]);
});

test.each([
  "const clock = { now: () => 1, setTimeout: 2 }; clock.setTimeout;",
  "const at = new Date(ms);",
  "type Timer = ReturnType<typeof setTimeout>;",
  "interface Options { readonly setTimeout: () => void }",
  "const env = options.process.env;",
  "const hash = crypto.createHash('sha256');",
  "const prose = 'Update the flag, then select a step';",
  "// Date.now() in a comment",
])("no false alarm: %s", (source) => {
  expect(planted(source)).toEqual([]);
});
