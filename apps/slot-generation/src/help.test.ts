import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { commandOptions } from "./command-options.ts";
import { exitCodes } from "./exit-codes.ts";
import { helpText } from "./help.ts";

const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");

test.each([
  ["--help", helpText()],
  ["the README", readme],
])("%s lists every option and every exit code", (_, text) => {
  for (const option of Object.keys(commandOptions)) expect(text).toContain(`--${option}`);
  for (const code of Object.values(exitCodes)) expect(text).toMatch(new RegExp(`\\b${code}\\b`));
});
