import { hash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

/** SHA-256 of each version's file, by version. */
export type Lock = Readonly<Record<string, string>>;

/** The JSON Schema of events, as it is checked in. */
export function toSchemaText(schema: z.ZodType): string {
  const json = z.toJSONSchema(schema, { target: "draft-2020-12" });
  return `${JSON.stringify(json, undefined, 2)}\n`;
}

export function lockOf(text: string): string {
  return hash("sha256", text, "hex");
}

export function readLock(directory: string): Lock {
  const file = join(directory, "lock.json");
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Lock) : {};
}

/** Why this version must not have this text; undefined when it may. */
export function faultOf(lock: Lock, version: number, text: string): string | undefined {
  const locked = lock[version];
  if (locked === undefined) return `events.v${version}.json is missing: run the script "schema"`;
  if (locked === lockOf(text)) return undefined;
  return `the schema of events changed: raise eventSchemaVersion above ${version}, then run the script "schema"`;
}

/**
 * Writes the file and the lock of a new version.
 * @throws Error when the version exists with another text: what was released stays as it was.
 */
export function writeVersion(
  directory: string,
  version: number,
  text: string,
): "written" | "unchanged" {
  const lock = readLock(directory);
  if (lock[version] !== undefined) {
    const fault = faultOf(lock, version, text);
    if (fault !== undefined) throw new Error(fault);
    return "unchanged";
  }
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, `events.v${version}.json`), text, { flag: "wx" });
  writeFileSync(
    join(directory, "lock.json"),
    `${JSON.stringify({ ...lock, [version]: lockOf(text) }, undefined, 2)}\n`,
  );
  return "written";
}
