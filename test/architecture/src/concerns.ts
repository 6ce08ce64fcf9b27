/** Something that is done in one place only. */
export interface Concern {
  readonly name: string;
  /** Names whose use belongs to the concern; `x.*` stands for all of x. `new Date()` is the one without arguments. */
  readonly uses?: readonly string[];
  /** Text in string literals that belongs to it. */
  readonly text?: RegExp;
  /** Files, or folders with a slash at the end, where it may be. */
  readonly places: readonly string[];
}

/** Sources that wire the rest together or play its part: no concern binds them, nor any test. */
export const UNBOUND = ["apps/", "test/", "packages/testkit/", "packages/cli/"] as const;

export const CONCERNS: readonly Concern[] = [
  {
    name: "time and timers",
    uses: [
      "Date.now",
      "new Date()",
      "performance.*",
      "perf_hooks.*",
      "process.hrtime",
      "process.uptime",
      "setTimeout",
      "setInterval",
      "timers.*",
      "timers/promises.*",
      "AbortSignal.timeout",
    ],
    places: ["packages/guard/src/system-clock.ts"],
  },
  {
    name: "randomness and ids",
    uses: [
      "Math.random",
      "crypto.randomUUID",
      "crypto.randomUUIDv7",
      "crypto.randomBytes",
      "crypto.randomInt",
      "crypto.randomFill",
      "crypto.randomFillSync",
      "crypto.getRandomValues",
      "crypto.webcrypto",
    ],
    places: ["packages/guard/src/ids.ts"],
  },
  {
    name: "the environment",
    uses: ["process.env", "process.loadEnvFile"],
    places: ["packages/guard/src/flags/env-flags.ts", "packages/providers/src/openai-env.ts"],
  },
  {
    name: "SQL text",
    text: /^\s*(?:select\b[^]+\bfrom\b|insert\s+into\b|update\s+\S+\s+set\b|delete\s+from\b|(?:create|alter|drop)\s+(?:or\s+replace\s+)?(?:table|(?:unique\s+)?index|view|function|trigger|schema|type)\b|with\s+\S+\s+as\s*\()/i,
    places: ["packages/sql/"],
  },
  { name: "Lua", text: /\bredis\.p?call\s*\(/, places: ["packages/redis/"] },
  {
    name: "telemetry names",
    text: /^(?:sluice|gen_ai)(?:\.[a-z0-9_]+)+$/,
    places: ["packages/contract/"],
  },
];
