import { randomUUID } from "node:crypto";
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  open,
  readFile,
  readdir,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { flagFile } from "@sluice/guard";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createFlagsFile } from "./flags-file.ts";

const killSwitchOf = (path: string) => createFlagsFile(path).killSwitch;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-kill-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function fileOf(text: string): Promise<string> {
  const path = join(folder, `${randomUUID()}.env`);
  await writeFile(path, text);
  return path;
}

/** What a process that starts now reads. */
function killedIn(path: string): boolean {
  const flags = flagFile(path);
  const { killed } = flags.read("chat_ai");
  flags.close();
  return killed;
}

const otherLines = (text: string): readonly string[] =>
  text
    .replace(/^\u{feff}/u, "")
    .split(/[\r\n]+/)
    .filter((line) => !line.includes("CHAT_AI_KILL") && line !== "");

async function edited(text: string, killed: boolean): Promise<string> {
  const path = await fileOf(text);
  await killSwitchOf(path).write(killed);
  return readFile(path, "utf8");
}

describe("a kill that is written to a flags file", () => {
  it.each([
    ["CHAT_AI_KILL=false\n", "CHAT_AI_KILL=true\n"],
    ["A=1\nCHAT_AI_KILL=0\nB=2\n", "A=1\nCHAT_AI_KILL=true\nB=2\n"],
    ["A=1\r\nCHAT_AI_KILL=\r\nB=2\r\n", "A=1\r\nCHAT_AI_KILL=true\r\nB=2\r\n"],
    ["  export CHAT_AI_KILL = 'false' # why\nB=2", "CHAT_AI_KILL=true\nB=2"],
    ["CHAT_AI_KILL=false\nCHAT_AI_KILL=false\n", "CHAT_AI_KILL=true\nCHAT_AI_KILL=true\n"],
    ["# CHAT_AI_KILL=false\nA=1\n", "# CHAT_AI_KILL=false\nA=1\nCHAT_AI_KILL=true\n"],
    ["OTHER_CHAT_AI_KILL=1\n", "OTHER_CHAT_AI_KILL=1\nCHAT_AI_KILL=true\n"],
    ["A=1", "A=1\nCHAT_AI_KILL=true\n"],
    ["A=1\r\nB=2", "A=1\r\nB=2\nCHAT_AI_KILL=true\n"],
    ["", "CHAT_AI_KILL=true\n"],
    ["\u{feff}CHAT_AI_KILL=false\nA=1\n", "\u{feff}CHAT_AI_KILL=true\nA=1\n"],
    ['NOTE="open\nCHAT_AI_KILL=false\n', 'NOTE="open\nCHAT_AI_KILL=true\n'],
    ["CHAT_AI_KILL=false\u{2028}x\n", "CHAT_AI_KILL=true\n"],
  ])("changes its line and no other: %j", async (before, after) => {
    expect(await edited(before, true)).toBe(after);
  });

  it("is read as what was written, whatever else the file holds, and nothing else is changed", async () => {
    const piece = fc.constantFrom(
      "CHAT_AI_KILL=true",
      "CHAT_AI_KILL=",
      "export CHAT_AI_KILL=no",
      "CHAT_AI_KILL",
      "=CHAT_AI_KILL=1",
      'A="',
      "B='x",
      "# c",
      "FEATURE_CHAT_AI=true",
      " ",
      "\n",
      "\r\n",
      "\r",
      "\u{2028}",
      "\u{feff}",
      "`",
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(piece, fc.string({ maxLength: 4 })), { maxLength: 8 }),
        fc.boolean(),
        async (pieces, killed) => {
          const path = await fileOf(pieces.join(""));
          await killSwitchOf(path).write(killed);
          expect(killedIn(path)).toBe(killed);
          const once = await readFile(path, "utf8");
          await killSwitchOf(path).write(killed);
          expect(await readFile(path, "utf8")).toBe(once);
          expect(otherLines(once)).toEqual(otherLines(pieces.join("")));
        },
      ),
      { numRuns: 200 },
    );
  });

  it("arrives by rename: whoever holds the old file open reads it whole", async () => {
    const path = await fileOf("A=1\nCHAT_AI_KILL=false\n");
    const before = await open(path);
    await killSwitchOf(path).write(true);
    expect(await before.readFile("utf8")).toBe("A=1\nCHAT_AI_KILL=false\n");
    await before.close();
  });

  it.each([0o600, 0o666])("keeps the file's mode %i", async (mode) => {
    const path = await fileOf("CHAT_AI_KILL=false\n");
    await chmod(path, mode);
    await killSwitchOf(path).write(true);
    expect((await stat(path)).mode & 0o777).toBe(mode);
  });

  it("goes through a link to the file behind it", async () => {
    const target = await fileOf("CHAT_AI_KILL=false\n");
    const link = join(folder, "link.env");
    await symlink(target, link);
    await killSwitchOf(link).write(true);
    expect((await lstat(link)).isSymbolicLink()).toBe(true);
    expect(await readFile(target, "utf8")).toBe("CHAT_AI_KILL=true\n");
  });

  it("makes a file that is missing", async () => {
    const path = join(folder, "missing.env");
    await killSwitchOf(path).write(true);
    expect(await readFile(path, "utf8")).toBe("CHAT_AI_KILL=true\n");
  });

  it("of many at once is the last, and no draft stays behind", async () => {
    const own = join(folder, randomUUID());
    await mkdir(own);
    const path = join(own, "flags.env");
    await writeFile(path, "A=1\nCHAT_AI_KILL=false\n");
    const file = killSwitchOf(path);
    await Promise.all(Array.from({ length: 21 }, (_, i) => file.write(i % 2 === 0)));
    expect(await readFile(path, "utf8")).toBe("A=1\nCHAT_AI_KILL=true\n");
    expect(await readdir(own)).toEqual(["flags.env"]);
  });

  it("that can't be written rejects, and the next one is tried", async () => {
    const own = join(folder, randomUUID());
    const file = killSwitchOf(join(own, "flags.env"));
    await expect(file.write(true)).rejects.toThrow("ENOENT");
    await mkdir(own);
    await file.write(true);
    expect(await readdir(own)).toEqual(["flags.env"]);
  });
});

describe("a switch that is written to a flags file", () => {
  it("changes its line, or comes at the end, and nothing else", async () => {
    const path = await fileOf("# c\nFF_ADMISSION_ENFORCE=false\r\nCHAT_AI_KILL=false\n");
    const file = createFlagsFile(path);
    await file.setSwitch("FF_ADMISSION_ENFORCE", true);
    await file.setSwitch("FF_CHAT_GATEWAY_SHADOW", true);
    expect(await readFile(path, "utf8")).toBe(
      "# c\nFF_ADMISSION_ENFORCE=true\r\nCHAT_AI_KILL=false\nFF_CHAT_GATEWAY_SHADOW=true\n",
    );
  });

  it("and a kill at the same time are both there afterwards", async () => {
    const path = await fileOf("CHAT_AI_KILL=false\nFF_CHAT_GATEWAY_ENABLED=false\n");
    const file = createFlagsFile(path);
    await Promise.all([
      file.setSwitch("FF_CHAT_GATEWAY_ENABLED", true),
      file.killSwitch.write(true),
      file.setSwitch("FF_CHAT_GATEWAY_SHADOW", true),
    ]);
    expect(await readFile(path, "utf8")).toBe(
      "CHAT_AI_KILL=true\nFF_CHAT_GATEWAY_ENABLED=true\nFF_CHAT_GATEWAY_SHADOW=true\n",
    );
  });
});

describe("a flags file", () => {
  it("can be written where it is, where it is missing, and not where its folder is", async () => {
    expect(await createFlagsFile(await fileOf("")).isWritable()).toBe(true);
    expect(await createFlagsFile(join(folder, "to-come.env")).isWritable()).toBe(true);
    expect(await createFlagsFile(join(folder, "no-folder", "flags.env")).isWritable()).toBe(false);
  });
});
