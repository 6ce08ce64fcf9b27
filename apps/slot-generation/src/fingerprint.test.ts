import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fingerprintOf } from "./fingerprint.ts";
import type { Fingerprint } from "./journal-record.ts";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "slotgen-"));
});
afterAll(() => rm(directory, { recursive: true }));

async function fingerprint(content: string, earlier?: Fingerprint) {
  const path = join(directory, "jobs");
  await writeFile(path, content);
  const file = await open(path);
  try {
    return await fingerprintOf(file, earlier);
  } finally {
    await file.close();
  }
}

const long = "x".repeat(600_000);

test.each([[""], ["a\n"], [long]])(
  "a file begins with itself, and with what was added to",
  async (content) => {
    const { now } = await fingerprint(content);
    expect(now.bytes).toBe(content.length);
    await expect(fingerprint(content, now)).resolves.toStrictEqual({
      now,
      beginsWithEarlier: true,
    });
    await expect(fingerprint(`${content}more\n`, now)).resolves.toMatchObject({
      beginsWithEarlier: true,
    });
  },
);

test("a file that is shorter or differs does not begin with it", async () => {
  const { now } = await fingerprint(`${long}end`);
  for (const other of ["", long, `${long}eNd`, `y${long.slice(1)}end`]) {
    await expect(fingerprint(other, now)).resolves.toMatchObject({ beginsWithEarlier: false });
  }
});
