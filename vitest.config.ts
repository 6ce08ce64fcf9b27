import { configDefaults, defineConfig } from "vitest/config";

/** They start servers and programs, kill them, and hold what follows against the clock. */
const alone = [
  "test/faults/src/{admission,budget,database,migrate,record-writer,redis}-*.test.ts",
  "test/faults/src/{both-sick,fault-matrix,fault-matrix-clocks}.test.ts",
  "test/integration/src/{database-roles,embedded-database,sluice-verify,sql-kill}.test.ts",
];

const project = (name: string, include: string[], more: object = {}) => ({
  extends: true as const,
  test: { name, include, ...more },
});

export default defineConfig({
  // Tests run the sources of every workspace package, without a build.
  ssr: { resolve: { conditions: ["@sluice/source"] } },
  test: {
    // One fewer would leave half of a machine with two processors idle.
    maxWorkers: "100%",
    // Tests that hold something against the clock say so themselves; this is for what hangs.
    testTimeout: 40_000,
    hookTimeout: 40_000,
    projects: [
      project("packages", ["packages/*/src/**/*.test.ts"], {
        setupFiles: ["packages/testkit/src/fail-on-console.ts"],
      }),
      project("apps", ["apps/*/src/**/*.test.ts"]),
      project("test", ["test/*/src/**/*.test.ts"], {
        exclude: [...configDefaults.exclude, ...alone],
      }),
      // After all others, one file at a time: what they say would be said of a busy machine otherwise.
      project("alone", alone, { fileParallelism: false, sequence: { groupOrder: 1 } }),
    ],
  },
});
