#!/usr/bin/env node
import { postgres } from "@sluice/sql";
import { run } from "./run.ts";

// As of `sluice audit tail | head`: who reads has read enough.
process.stdout.on("error", () => undefined);

process.exitCode = await run({
  argv: process.argv.slice(2),
  env: process.env,
  stdin: process.stdin,
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  isTty: process.stdin.isTTY && process.stderr.isTTY,
  open: (options) =>
    postgres({ ...options, applicationName: "sluice-cli", poolSize: 2, connectTimeoutMs: 5000 }),
});
