#!/usr/bin/env node
import { exitCodes } from "./exit-codes.ts";
import { slotgen } from "./slotgen.ts";
import { createTerminal } from "./terminal.ts";

const terminal = createTerminal(process);
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 12)) {
  terminal.note(
    `slotgen: got Node ${process.versions.node}, expected 22.12 or later (\`pnpm slotgen\` brings its own)`,
  );
  process.exitCode = exitCodes.usage;
} else {
  process.exitCode = await slotgen(process.argv.slice(2), terminal);
}
