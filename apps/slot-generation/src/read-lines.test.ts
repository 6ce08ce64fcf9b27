import * as fc from "fast-check";
import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readLines, type Line, type ReadLinesOptions } from "./read-lines.ts";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "slotgen-"));
});
afterAll(() => rm(directory, { recursive: true }));

async function linesOf(
  content: string | Uint8Array,
  options: Partial<ReadLinesOptions> = {},
): Promise<Line[]> {
  const path = join(directory, "lines");
  await writeFile(path, content);
  const file = await open(path);
  const lines: Line[] = [];
  try {
    for await (const line of readLines(file, { maxLineBytes: 1000, ...options })) lines.push(line);
    return lines;
  } finally {
    await file.close();
  }
}

const textsOf = async (content: string | Uint8Array, options?: Partial<ReadLinesOptions>) =>
  (await linesOf(content, options)).map(({ text, fault }) => text ?? fault);

test("an empty file has no line", async () => {
  await expect(linesOf("")).resolves.toStrictEqual([]);
});

test("a line knows its number, its place and whether it is complete", async () => {
  await expect(linesOf("a\n\nßc")).resolves.toStrictEqual([
    { number: 1, start: 0, end: 2, terminated: true, text: "a", fault: undefined },
    { number: 2, start: 2, end: 3, terminated: true, text: "", fault: undefined },
    { number: 3, start: 3, end: 6, terminated: false, text: "ßc", fault: undefined },
  ]);
});

test("a byte order mark and carriage returns belong to no line", async () => {
  await expect(textsOf("\u{feff}a\r\nb\r\n\u{feff}c\r\n")).resolves.toStrictEqual(["a", "b", "c"]);
});

test("a line that is no UTF-8 does not keep the next from being read", async () => {
  const bytes = Buffer.concat([Buffer.from("a\n"), Buffer.from([0x22, 0xff, 0x22, 0x0a, 0x62])]);
  await expect(textsOf(bytes)).resolves.toStrictEqual(["a", "not UTF-8", "b"]);
});

test("a line over the limit is passed over, however long; one at the limit is read", async () => {
  const long = "x".repeat(300_000);
  await expect(
    textsOf(`${"a".repeat(1000)}\n${"b".repeat(1001)}\n${long}\nc\n${long}`),
  ).resolves.toStrictEqual(["a".repeat(1000), "too long", "too long", "c", "too long"]);
});

test("nothing past the end that was given is read", async () => {
  await expect(textsOf("one\ntwo\nthree\n", { endOffset: 6 })).resolves.toStrictEqual([
    "one",
    "tw",
  ]);
});

test("lines of any lengths across chunks come out as they went in", async () => {
  const line = fc.oneof(
    fc.string({ unit: "grapheme", maxLength: 50 }),
    fc.integer({ min: 60_000, max: 70_000 }).map((length) => "é".repeat(length / 2)),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 8 }), async (lines) => {
      const clean = lines.map((text) => text.replaceAll(/[\n\r\u{feff}]/gu, " ").toWellFormed());
      const content = clean.map((text) => `${text}\n`).join("");
      await expect(textsOf(content, { maxLineBytes: 100_000 })).resolves.toStrictEqual(clean);
    }),
    { numRuns: 40 },
  );
});
