/** What a folder of the workspace may import. */
export interface AllowedImports {
  /** Workspace folders; `packages/*` stands for every package. */
  readonly workspace: readonly string[];
  /** Packages from outside, or `declared`: whatever its package.json lists. */
  readonly outside: readonly string[] | "declared";
  /** Modules of Node, by their `node:` name, or `any`. */
  readonly node: readonly string[] | "any";
}

export type ImportTable = Readonly<Record<string, AllowedImports>>;

/** Who may import whom. A package that is not here may not exist. */
export const ALLOWED_IMPORTS: ImportTable = {
  "packages/contract": { workspace: [], outside: ["zod"], node: [] },
  "packages/policy": { workspace: ["packages/contract"], outside: [], node: ["node:crypto"] },
  "packages/guard": {
    workspace: ["packages/contract", "packages/policy"],
    outside: ["zod", "opossum", "p-limit", "@opentelemetry/api"],
    node: "any",
  },
  "packages/providers": {
    workspace: ["packages/contract", "packages/policy"],
    outside: ["zod", "eventsource-parser"],
    node: "any",
  },
  "packages/ai-sdk": {
    workspace: ["packages/contract", "packages/policy", "packages/guard"],
    outside: ["zod", "ai", "@ai-sdk/provider"],
    node: "any",
  },
  "packages/redis": {
    workspace: ["packages/contract", "packages/policy"],
    outside: ["zod", "redis", "@redis/client", "ioredis"],
    node: "any",
  },
  "packages/sql": {
    workspace: ["packages/contract", "packages/policy"],
    outside: ["zod", "kysely", "pg", "@electric-sql/pglite"],
    node: "any",
  },
  "packages/gateway": {
    workspace: ["packages/contract", "packages/guard"],
    outside: ["zod", "eventsource-parser"],
    node: "any",
  },
  "packages/express": {
    workspace: ["packages/contract", "packages/guard", "packages/gateway"],
    outside: ["zod", "express"],
    node: "any",
  },
  "packages/next": {
    workspace: ["packages/contract", "packages/guard", "packages/gateway"],
    outside: ["zod", "next"],
    node: "any",
  },
  "packages/openfeature": {
    workspace: ["packages/contract", "packages/policy"],
    outside: ["zod", "@openfeature/server-sdk"],
    node: "any",
  },
  "packages/evals": {
    workspace: ["packages/contract", "packages/policy"],
    outside: ["zod"],
    node: "any",
  },
  "packages/rollout": {
    workspace: ["packages/contract", "packages/policy"],
    outside: ["zod"],
    node: "any",
  },
  "packages/console": {
    workspace: ["packages/contract", "packages/sql", "packages/rollout", "packages/evals"],
    outside: ["zod", "react", "react-dom", "vite", "@vitejs/plugin-react", "uplot"],
    node: "any",
  },
  "packages/cli": {
    workspace: [
      "packages/contract",
      "packages/policy",
      "packages/guard",
      "packages/providers",
      "packages/ai-sdk",
      "packages/redis",
      "packages/sql",
      "packages/gateway",
      "packages/openfeature",
      "packages/evals",
      "packages/rollout",
      "packages/console",
    ],
    outside: ["zod", "commander"],
    node: "any",
  },
  "packages/testkit": {
    workspace: ["packages/contract", "packages/policy"],
    outside: ["zod", "vitest", "fast-check"],
    node: "any",
  },
  "apps/*": { workspace: ["packages/*"], outside: "declared", node: "any" },
  "test/*": { workspace: ["packages/*", "apps/*"], outside: "declared", node: "any" },
};

/** What tests beside the sources may import on top, besides the devDependencies of their package. */
export const TEST_IMPORTS = {
  workspace: ["packages/testkit"],
  outside: ["vitest", "fast-check"],
} as const;
