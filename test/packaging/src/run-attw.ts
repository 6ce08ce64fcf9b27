import { type CommandResult, runCommand } from "./run-command.ts";

/** Are the types of a tarball found by everybody who imports it as ESM? */
export async function runAttw(tarball: string, folder: string): Promise<CommandResult> {
  const result = await runCommand("attw", [tarball, "--profile", "esm-only"], folder);
  // attw lets a package pass that has no types at all.
  return result.output.includes("does not contain types") ? { ...result, exitCode: 1 } : result;
}
