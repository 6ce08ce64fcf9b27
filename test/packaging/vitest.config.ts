import { defineConfig } from "vitest/config";

/** Apart from the other tests, because it needs what `pnpm build` makes. */
export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ["src/**/*.packed.ts"],
    hookTimeout: 300_000,
    testTimeout: 60_000,
  },
});
