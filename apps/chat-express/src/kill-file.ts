import { randomUUID } from "node:crypto";
import { chmod, readFile, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { parseEnv } from "node:util";

const variable = "CHAT_AI_KILL";

/** Where a kill is written down, for this process and every other. */
export interface KillSwitch {
  /** One write after the other, so that the last one asked for stands. */
  write(killed: boolean): Promise<void>;
}

/**
 * Sets `CHAT_AI_KILL` in a flags file and leaves the rest of the file as it is. By rename, so that no
 * reader meets a half-written one.
 */
export function createKillFile(path: string): KillSwitch {
  let last: Promise<unknown> = Promise.resolve();
  return {
    write(killed) {
      const written = last.then(() => edit(path, killed));
      last = written.catch(() => undefined);
      return written;
    },
  };
}

async function edit(path: string, killed: boolean): Promise<void> {
  const target = await behindLinks(path);
  const { text, mode } = await read(target);
  const draft = `${target}.${randomUUID()}.tmp`;
  try {
    await writeFile(draft, withKill(text, killed));
    await chmod(draft, mode);
    await rename(draft, target);
  } finally {
    await rm(draft, { force: true });
  }
}

/** Line by line, as flag files are read. */
function withKill(text: string, killed: boolean): string {
  const next = `${variable}=${killed}`;
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

function isMissing(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === "ENOENT";
}
