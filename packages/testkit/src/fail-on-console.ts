import { format } from "node:util";
import { afterEach } from "vitest";

const METHODS = ["debug", "error", "info", "log", "trace", "warn"] as const;

const strayCalls: string[] = [];

// Recorded here and thrown after the test: Sluice isolates its observers, so an error thrown from
// inside the call might be swallowed. A test that expects output puts its own spy in place.
for (const method of METHODS) {
  console[method] = (...values: unknown[]): void => {
    strayCalls.push(`console.${method}: ${format(...values)}`);
  };
}

afterEach(() => {
  const calls = strayCalls.splice(0);
  if (calls.length > 0) {
    throw new Error(`A test wrote to the console.\n${calls.join("\n")}`);
  }
});
