import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { ConfigError } from "@sluice/contract";
import { z } from "zod";
import { errorCode } from "./error-code.ts";

/** A folder that this process alone has open. */
export interface FolderLock {
  /** Frees the folder; a second call does nothing. */
  release(): void;
}

const ownerSchema = z.object({
  host: z.string(),
  pid: z.int().positive(),
  /** When the process began, in the kernel's own count: a later process may have the same pid. */
  start: z.string().nullable(),
});

type Owner = z.infer<typeof ownerSchema>;

/**
 * Creates the folder where it is missing and locks it by a file in it. The lock of a process that is
 * gone is taken over; that of one on another host, or in another container, cannot be judged and stands.
 * @throws {ConfigError} naming `option`, when another has the folder.
 */
export function lockFolder(folder: string, option: string): FolderLock {
  const file = fileIn(folder);
  const self: Owner = { host: hostname(), pid: process.pid, start: startOf(process.pid) };
  if (!createIn(folder, file, self, option)) {
    const owner = readOwner(file);
    if (owner === undefined || isAlive(owner) || !takeOver(file, self)) {
      throw new ConfigError({
        option,
        got: "a folder in use",
        expected: `a folder of its own; ${describeOwner(owner)} holds ${file}`,
      });
    }
  }
  let held = true;
  return {
    release() {
      if (!held) return;
      held = false;
      rmSync(file, { force: true });
    },
  };
}

/** Whether a process that lives, or can't be judged, has the folder. */
export function isFolderLocked(folder: string): boolean {
  const owner = readOwner(fileIn(folder));
  return owner !== undefined && isAlive(owner);
}

function fileIn(folder: string): string {
  return join(folder, "sluice-lock");
}

function createIn(folder: string, file: string, self: Owner, option: string): boolean {
  try {
    mkdirSync(folder, { recursive: true });
    return create(file, self);
  } catch (error) {
    throw new ConfigError({
      option,
      got: `a path that cannot be used (${errorCode(error) ?? "?"})`,
      expected: "a folder that can be written, or can be created",
    });
  }
}

/** Whether the lock is ours now. Of several that see the same stale lock, one at most removes it. */
function takeOver(file: string, self: Owner): boolean {
  const guard = `${file}.takeover`;
  if (!create(guard, self)) return false;
  try {
    // Another may have taken it over since it was read; under the guard a stale lock stays as it is.
    const owner = readOwner(file);
    if (owner === undefined || isAlive(owner)) return false;
    rmSync(file);
    return create(file, self);
  } finally {
    rmSync(guard, { force: true });
  }
}

/** Whether the file was not there before. */
function create(file: string, owner: Owner): boolean {
  let descriptor: number;
  try {
    descriptor = openSync(file, "wx", 0o600);
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw error;
  }
  try {
    writeSync(descriptor, JSON.stringify(owner));
  } finally {
    closeSync(descriptor);
  }
  return true;
}

/** Nothing while its owner still writes it, or has just removed it. */
function readOwner(file: string): Owner | undefined {
  try {
    return ownerSchema.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    return undefined;
  }
}

function isAlive(owner: Owner): boolean {
  if (owner.host !== hostname()) return true;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    // Not permitted: it is somebody else's, and alive.
    return errorCode(error) !== "ESRCH";
  }
  const start = startOf(owner.pid);
  return start === null || owner.start === null || start === owner.start;
}

/** Known on Linux only; elsewhere a process is told by its pid alone. */
function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // Field 22; the second, a name in parentheses, may hold spaces.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null;
  } catch {
    return null;
  }
}

function describeOwner(owner: Owner | undefined): string {
  return owner === undefined ? "another process" : `process ${owner.pid} on ${owner.host}`;
}
