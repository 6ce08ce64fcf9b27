import { existsSync } from "node:fs";
import { join } from "node:path";
import { isFolderLocked } from "./folder-lock.ts";
import { readPgliteAddress } from "./pglite-socket-file.ts";

/**
 * How the embedded database in a folder can be reached now. `absent`: there is none. `free`: no process
 * has it, so `pglite({ folder })` may open it. `served`: a process has it, and lets others in by this URL
 * for `postgres`, whose password is a secret. `locked`: a process has it, and nobody else gets in.
 */
export type FoundPglite =
  | { readonly state: "absent" | "free" | "locked" }
  | { readonly state: "served"; readonly connectionString: string };

/** Looks for PGlite's database in a folder, and for the process that has it open. */
export function findPglite(folder: string): FoundPglite {
  if (isFolderLocked(folder)) {
    const address = readPgliteAddress(folder);
    if (address === undefined) return { state: "locked" };
    const { host, port, token } = address;
    return {
      state: "served",
      connectionString: `postgresql://postgres:${encodeURIComponent(token)}@${host}:${port}/postgres`,
    };
  }
  return { state: existsSync(join(folder, "PG_VERSION")) ? "free" : "absent" };
}
