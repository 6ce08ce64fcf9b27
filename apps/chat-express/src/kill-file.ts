import { readFile, rename, writeFile } from "node:fs/promises";

const line = /^[ \t]*(?:export[ \t]+)?CHAT_AI_KILL[ \t]*=.*$/gm;

/** Sets `CHAT_AI_KILL` in a flags file, by rename, so that no reader meets a half-written one. */
export async function writeKill(path: string, killed: boolean): Promise<void> {
  const text = await readFile(path, "utf8");
  const next = `CHAT_AI_KILL=${killed}`;
  const found = text.search(line) >= 0;
  const edited = found
    ? text.replaceAll(line, next)
    : `${text}${text.endsWith("\n") || text === "" ? "" : "\n"}${next}\n`;
  const draft = `${path}.${process.pid}.tmp`;
  await writeFile(draft, edited);
  await rename(draft, path);
}
