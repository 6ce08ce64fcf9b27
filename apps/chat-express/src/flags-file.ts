import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { access, chmod, readFile, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { parseEnv } from "node:util";
import type { SwitchName } from "@sluice/contract";
import type { KillSwitch } from "./kill-switch.ts";

const killVariable = "CHAT_AI_KILL";

/** A watched flags file that people change by buttons. */
export interface FlagsFile {
  readonly killSwitch: KillSwitch;
  /** One write after the other, also of different variables. */
  setSwitch(name: SwitchName, on: boolean): Promise<void>;
  /** Whether it could be written now. */
  isWritable(): Promise<boolean>;
}

/**
 * Sets variables in a flags file and leaves the rest of the file as it is. By rename, so that no reader meets
 * a half-written one.
 */
export function createFlagsFile(path: string): FlagsFile {
  let last: Promise<unknown> = Promise.resolve();
  const set = (variable: string, value: boolean): Promise<void> => {
    const written = last.then(() => edit(path, variable, value));
    last = written.catch(() => undefined);
    return written;
  };
  return {
    killSwitch: { write: (killed) => set(killVariable, killed) },
    setSwitch: set,
    async isWritable() {
      try {
        const target = await behindLinks(path);
        await access(dirname(target), constants.W_OK);
        await access(target, constants.W_OK).catch(passMissing);
        return true;
      } catch {
        return false;
      }
    },
  };
}

async function edit(path: string, variable: string, value: boolean): Promise<void> {
  const target = await behindLinks(path);
  const { text, mode } = await read(target);
  const draft = `${target}.${randomUUID()}.tmp`;
  try {
    await writeFile(draft, withValue(text, variable, value));
    await chmod(draft, mode);
    await rename(draft, target);
  } finally {
    await rm(draft, { force: true });
  }
}

/** Line by line, as flag files are read. */
function withValue(text: string, variable: string, value: boolean): string {
  const next = `${variable}=${value}`;
  const mark = text.startsWith("\u{feff}") ? "\u{feff}" : "";
  let found = false;
  const edited = text.slice(mark.length).replaceAll(/[^\r\n]+/g, (line) => {
    if (!Object.hasOwn(parseEnv(line), variable)) return line;
    found = true;
    return next;
  });
  if (found) return mark + edited;
  return `${mark}${edited}${edited === "" || /[\r\n]$/.test(edited) ? "" : "\n"}${next}\n`;
}

async function behindLinks(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (isMissing(error)) return path;
    throw error;
  }
}

async function read(path: string): Promise<{ readonly text: string; readonly mode: number }> {
  try {
    return { text: await readFile(path, "utf8"), mode: (await stat(path)).mode };
  } catch (error) {
    if (isMissing(error)) return { text: "", mode: 0o644 };
    throw error;
  }
}

function passMissing(error: unknown): void {
  if (!isMissing(error)) throw error;
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === "ENOENT";
}
