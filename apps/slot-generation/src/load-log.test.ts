import { mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadLog } from "./load-log.ts";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "slotgen-"));
});
afterAll(() => rm(directory, { recursive: true }));

/** Lines are numbers here. */
async function load(content: string) {
  const path = join(directory, "log");
  await writeFile(path, content);
  const file = await open(path, "a+");
  const taken: number[] = [];
  try {
    const mended = await loadLog(file, "log", (text) => {
      if (!/^\{\d+\}$/.test(text)) return false;
      taken.push(Number(text.slice(1, -1)));
      return true;
    });
    return { mended, taken };
  } finally {
    await file.close();
  }
}

const content = (): Promise<string> => readFile(join(directory, "log"), "utf8");

test("a whole log is left as it is", async () => {
  await expect(load("{1}\n{2}\n")).resolves.toStrictEqual({ mended: "whole", taken: [1, 2] });
  await expect(load("")).resolves.toStrictEqual({ mended: "whole", taken: [] });
});

describe("wherever the last write was torn", () => {
  const whole = "{1}\n{22}\n{333}\n";
  test.each(Array.from({ length: whole.length + 1 }, (_, length) => length))(
    "after %d bytes, what is complete is kept and the next line begins a line",
    async (length) => {
      const torn = whole.slice(0, length);
      const { taken } = await load(torn);
      const complete = [1, 22, 333].slice(0, torn.split("}").length - 1);
      expect(taken).toStrictEqual(complete);
      await expect(content()).resolves.toBe(complete.map((one) => `{${one}}\n`).join(""));
    },
  );
});

test("zeros that a power failure left are cut off", async () => {
  await expect(load(`{1}\n{2\0\0\0\0`)).resolves.toMatchObject({ mended: "cut", taken: [1] });
  await expect(load(`{1}\n\0\0\n`)).resolves.toMatchObject({ mended: "cut", taken: [1] });
  await expect(content()).resolves.toBe("{1}\n");
});

test.each([["{1}\nmine\n"], ["mine\n{1}\n"], ["mine\n{1}"], ["{1}\n\n{2}\n"]])(
  "%j is refused and left as it is: no crash explains it",
  async (foreign) => {
    await expect(load(foreign)).rejects.toThrow(/^log line \d: got a line that this command did/);
    await expect(content()).resolves.toBe(foreign);
  },
);
