import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

/** Where the socket of a running app's embedded database is, and what its clients must know. */
export interface PgliteAddress {
  readonly host: string;
  readonly port: number;
  /** The password: whoever can read the file may enter. */
  readonly token: string;
}

const addressSchema = z.object({
  host: z.string().min(1),
  port: z.int().min(1).max(65_535),
  token: z.string().min(1),
});

/** For the owner of the process alone; another reads all of it or none. */
export function writePgliteAddress(folder: string, address: PgliteAddress): void {
  const file = fileIn(folder);
  const unfinished = `${file}.new`;
  rmSync(unfinished, { force: true });
  writeFileSync(unfinished, JSON.stringify(address), { mode: 0o600, flag: "wx" });
  renameSync(unfinished, file);
}

/** Undefined where there is none. */
export function readPgliteAddress(folder: string): PgliteAddress | undefined {
  try {
    return addressSchema.parse(JSON.parse(readFileSync(fileIn(folder), "utf8")));
  } catch {
    return undefined;
  }
}

export function removePgliteAddress(folder: string): void {
  rmSync(fileIn(folder), { force: true });
}

function fileIn(folder: string): string {
  return join(folder, "sluice-socket");
}
