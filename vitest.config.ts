import { defineConfig } from "vitest/config";

const project = (name: string, include: string[], setupFiles: string[] = []) => ({
  extends: true as const,
  test: { name, include, setupFiles },
});

export default defineConfig({
  // Tests run the sources of every workspace package, without a build.
  ssr: { resolve: { conditions: ["@sluice/source"] } },
  test: {
    projects: [
      project(
        "packages",
        ["packages/*/src/**/*.test.ts"],
        ["packages/testkit/src/fail-on-console.ts"],
      ),
      project("apps", ["apps/*/src/**/*.test.ts"]),
      project("test", ["test/*/src/**/*.test.ts"]),
    ],
  },
});
