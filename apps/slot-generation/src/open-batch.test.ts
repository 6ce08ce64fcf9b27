import { mkdir, mkdtemp, link, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openBatch } from "./open-batch.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "slotgen-"));
  await writeFile(join(directory, "jobs"), '{"id":"a","prompt":"b"}\n');
});
afterEach(() => rm(directory, { recursive: true }));

const caps = { calls: 1, tokens: 1 };
const at = (name: string): string => join(directory, name);
const opened = (jobs: string, out: string, more = caps) =>
  openBatch({ jobs: at(jobs), out: at(out), caps: more });

const finishedLine =
  '{"id":"a","path":"stub","reason":"NOT_OPTED_IN","value":{"status":"STUB","slots":[{"title":"t","minutes":1}]}}\n';

/** A batch that was started and finished its job. */
async function begun(more: typeof caps & { costNanoUsd?: number } = caps): Promise<void> {
  const batch = await opened("jobs", "out", more);
  await batch.journal.write({
    type: "start",
    v: 1,
    jobs: batch.fingerprint,
    caps: more,
    open: false,
  });
  await batch.close();
  await writeFile(at("out"), finishedLine);
}

test("a batch that goes on knows what is finished", async () => {
  await begun();
  const batch = await opened("jobs", "out");
  expect(batch.tally).toMatchObject({ finished: 1, finishedEarlier: 1 });
  expect([...batch.ids]).toStrictEqual([["a", "finished earlier"]]);
  await batch.close();
});

test("jobs may be added at the end of the file", async () => {
  await begun();
  await writeFile(at("jobs"), '{"id":"c","prompt":"d"}\n', { flag: "a" });
  const batch = await opened("jobs", "out");
  expect(batch.tally.finishedEarlier).toBe(1);
  await batch.close();
});

test("another run on the same file is refused, under whatever name it goes", async () => {
  await begun();
  const batch = await opened("jobs", "out");
  await link(at("out"), at("hard"));
  await symlink(at("out"), at("soft"));
  for (const name of ["out", "hard", "soft"]) {
    await expect(opened("jobs", name)).rejects.toThrow("which another run has open");
  }
  await batch.close();
  await (await opened("jobs", "soft")).close();
});

test("what does not belong together is refused in one line and left as it is", async () => {
  await begun();
  await writeFile(at("other"), '{"id":"x","prompt":"y"}\n');
  await expect(opened("other", "out")).rejects.toThrow(
    /^jobs: got ".*", which is not the file this batch was begun with, expected the same lines/,
  );

  await writeFile(at("foreign"), "mine");
  await expect(opened("jobs", "foreign")).rejects.toThrow(
    /^--out: got ".*", which has lines but no journal beside it, expected a new file/,
  );
  await expect(readFile(at("foreign"), "utf8")).resolves.toBe("mine");

  await rm(at("out"));
  await expect(opened("jobs", "out")).rejects.toThrow(
    /^--out: got ".*", which is gone while its journal is there, expected both, or neither/,
  );
});

test("a cap on money can be raised, not forgotten", async () => {
  await begun({ ...caps, costNanoUsd: 5 });
  await expect(opened("jobs", "out")).rejects.toThrow(
    /^--max-cost-usd: got nothing, expected a cap/,
  );
});

test("files that are none are refused", async () => {
  await mkdir(at("directory"));
  await expect(opened("missing", "out")).rejects.toThrow(/^jobs: got ".*ENOENT/);
  await expect(opened("directory", "out")).rejects.toThrow(/^jobs: got ".*no regular file/);
  await expect(opened("jobs", "directory")).rejects.toThrow(/^--out: got ".*no regular file/);
  await expect(opened("jobs", "missing/out")).rejects.toThrow(/^--out: got ".*ENOENT/);
  await expect(opened("jobs", "jobs")).rejects.toThrow("--out: got the jobs file");
});
