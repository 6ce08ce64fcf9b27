import { createHash } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { ConfigError } from "@sluice/contract";
import { errorCode } from "./error-code.ts";
import { fateOf, folderOwnerSchema, thisProcess, type FolderOwner } from "./folder-owner.ts";

/** A folder that this process alone has open. */
export interface FolderLock {
  /** Frees the folder; a second call does nothing. */
  release(): void;
}

/** Who keeps others from a file, as far as can be told. */
interface Holder {
  readonly file: string;
  readonly text: string;
  readonly owner: FolderOwner;
  readonly fate: "alive" | "unknown";
}

/** A file that another made. */
type Found = Holder | { readonly text: string; readonly fate: "gone" };

const lockName = "sluice-lock";

/**
 * Creates the folder where it is missing and locks it by a file in it. The lock of a process that is gone
 * is taken over, also where that process was killed while it took one over itself; where it can't be told
 * whether the owner lives, on another host say, the lock stands until somebody deletes it.
 * @throws {ConfigError} naming `option`, when another has the folder.
 */
export function lockFolder(folder: string, option: string): FolderLock {
  const file = join(folder, lockName);
  const text = JSON.stringify(thisProcess());
  const holder = claimIn(folder, text, option);
  if (holder !== undefined) {
    throw new ConfigError({
      option,
      got: "a folder in use",
      expected: `a folder of its own; ${describeHolder(holder)}`,
    });
  }
  let held = true;
  return {
    release() {
      if (!held) return;
      held = false;
      // Somebody who took this process for gone may have deleted it.
      if (findLock(file)?.text === text) rmSync(file, { force: true });
    },
  };
}

/** Whether a process that lives, or of which that can't be told, has the folder. */
export function isFolderLocked(folder: string): boolean {
  try {
    const found = findLock(join(folder, lockName));
    return found !== undefined && found.fate !== "gone";
  } catch {
    // No folder, or none that could be opened.
    return false;
  }
}

function claimIn(folder: string, text: string, option: string): Holder | undefined {
  try {
    mkdirSync(folder, { recursive: true });
    const holder = claim(folder, lockName, text);
    if (holder === undefined) removeLeftovers(folder);
    return holder;
  } catch (error) {
    throw new ConfigError({
      option,
      got: `a path that cannot be used (${errorCode(error) ?? "?"})`,
      expected: "a folder that can be written, or can be created, and takes hard links",
    });
  }
}

/**
 * Undefined once the file is ours; otherwise who keeps us from it. A file of a living process is changed by
 * that process alone. One of a process that is gone is changed only by the holder of a second file, its
 * succession, which is named after what stands in the first and is claimed in the same manner: so whoever
 * is killed in between is succeeded too. No text of a process that is gone ever comes back, so what is left
 * of an earlier succession leads nowhere.
 */
function claim(folder: string, name: string, text: string): Holder | undefined {
  const file = join(folder, name);
  for (;;) {
    if (create(folder, file, text)) return undefined;
    const found = findLock(file);
    // Released at this moment.
    if (found === undefined) continue;
    if (found.fate !== "gone") return found;
    const succession = `${lockName}.after-${digest(found.text)}`;
    const other = claim(folder, succession, text);
    if (other !== undefined) return other;
    try {
      // Another may have succeeded between the two claims.
      const still = findLock(file);
      const isSame = still?.text === found.text && still.fate === "gone";
      if (isSame && replace(folder, file, text)) return undefined;
    } finally {
      rmSync(join(folder, succession), { force: true });
    }
  }
}

/** Whether the file was not there before. It appears with all of its text, or not at all. */
function create(folder: string, file: string, text: string): boolean {
  return withUnfinished(folder, text, (unfinished) => linkSync(unfinished, file));
}

function replace(folder: string, file: string, text: string): boolean {
  return withUnfinished(folder, text, (unfinished) => renameSync(unfinished, file));
}

function withUnfinished(folder: string, text: string, use: (unfinished: string) => void): boolean {
  const unfinished = writeUnfinished(folder, text);
  try {
    use(unfinished);
    return true;
  } catch (error) {
    const code = errorCode(error);
    // Gone: whoever has the folder by now took it for left over.
    if (code === "EEXIST" || code === "ENOENT") return false;
    throw error;
  } finally {
    rmSync(unfinished, { force: true });
  }
}

function writeUnfinished(folder: string, text: string): string {
  for (let at = 0; ; at += 1) {
    const unfinished = join(folder, `${lockName}.new-${process.pid}-${at}`);
    let descriptor: number;
    try {
      descriptor = openSync(unfinished, "wx", 0o600);
    } catch (error) {
      // Of another thread or container, or left over.
      if (errorCode(error) === "EEXIST") continue;
      throw error;
    }
    try {
      writeSync(descriptor, text);
      // A machine that fails may keep a name and lose the text.
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    return unfinished;
  }
}

/** Only for who has the folder. Whoever is still at one of these files finds that the lock is taken. */
function removeLeftovers(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const isOurs = entry.isFile() && entry.name.startsWith(`${lockName}.`);
    if (isOurs) rmSync(join(folder, entry.name), { force: true });
  }
}

function findLock(file: string): Found | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
  const owner = parseOwner(text);
  // No lock of ours is ever seen unfinished, so what can't be read is of nobody who lives.
  const fate = owner === undefined ? "gone" : fateOf(owner);
  return owner === undefined || fate === "gone"
    ? { text, fate: "gone" }
    : { file, text, owner, fate };
}

function parseOwner(text: string): FolderOwner | undefined {
  try {
    return folderOwnerSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

function describeHolder({ file, owner, fate }: Holder): string {
  const holder = `process ${owner.pid} on ${owner.host} holds ${file}`;
  if (fate === "alive") return holder;
  return `${holder}, and whether it lives can't be told from here: delete that file once it has ended`;
}
