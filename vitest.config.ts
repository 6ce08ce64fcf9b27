import { defineConfig } from "vitest/config";

const project = (name: string, include: string[]) => ({
  extends: true as const,
  test: { name, include },
});

export default defineConfig({
  // Tests run the sources of every workspace package, without a build.
  ssr: { resolve: { conditions: ["@sluice/source"] } },
  test: {
    projects: [
      project("packages", ["packages/*/src/**/*.test.ts"]),
      project("apps", ["apps/*/src/**/*.test.ts"]),
      project("test", ["test/*/src/**/*.test.ts"]),
    ],
  },
});
