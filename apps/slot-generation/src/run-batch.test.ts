import { memoryBudgets, staticFlags, type StaticFlags } from "@sluice/guard";
import { errorReply, fakeProvider, valueReply, type FakeCall } from "@sluice/testkit";
import * as fc from "fast-check";
import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { Job } from "./job.ts";
import { journaledProvider } from "./journaled-provider.ts";
import { parseJournalRecord, type BatchCaps } from "./journal-record.ts";
import { openBatch } from "./open-batch.ts";
import { parseOutLine } from "./out-line.ts";
import { runBatch } from "./run-batch.ts";
import { batchRun, createSlotGuard } from "./slot-guard.ts";
import { createStopper, type Stopper } from "./stopper.ts";
import { watchBudgets } from "./watched-budgets.ts";

const answer = { status: "OK", slots: [{ title: "Recall", minutes: 10 }] };
const usage = { inputTokens: 10, outputTokens: 10 };
/** Set aside for each call: 100 of the prompt and 100 of the answer. */
const worstCase = 200;

const line = (id: string, allowAI = true): string =>
  JSON.stringify({ id, prompt: "Fractions", metadata: { allowAI } });

interface RunOptions {
  readonly caps?: BatchCaps;
  readonly flags?: StaticFlags;
  readonly acceptStubs?: boolean;
  readonly concurrency?: number;
  readonly onCall?: (call: FakeCall<Job>, stopper: Stopper) => void;
}

async function createBatch(content: string) {
  const directory = await mkdtemp(join(tmpdir(), "slotgen-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  const jobs = join(directory, "jobs.jsonl");
  const out = join(directory, "out.jsonl");
  const journalPath = `${out}.journal`;
  await writeFile(jobs, content);

  const run = async (options: RunOptions = {}) => {
    const { caps = { calls: 200, tokens: 1_000_000 }, concurrency = 4 } = options;
    const { flags = staticFlags({ slotgen_ai: { enabled: true } }) } = options;
    const notes: string[] = [];
    const batch = await openBatch({ jobs, out, caps });
    const stopper = createStopper({ on: () => process, off: () => process }, () => undefined);
    const provider = fakeProvider<Job>({
      inputTokens: () => 100,
      onCall: (call) =>
        options.onCall === undefined
          ? call.reply(valueReply(answer, usage))
          : options.onCall(call, stopper),
    });
    const budgets = watchBudgets(memoryBudgets());
    const guard = createSlotGuard({
      provider: journaledProvider({
        provider,
        journal: batch.journal,
        price: undefined,
        onBroken: (error) => stopper.break(error),
      }),
      flags,
      allowlist: undefined,
      caps,
      maxOutputTokens: 100,
      prices: undefined,
      budgets: budgets.store,
      sinks: [() => undefined],
    });
    const open = guard.describe().shut === undefined;
    await batch.journal.write({ type: "start", v: 1, jobs: batch.fingerprint, caps, open });
    guard.budget.restore(batchRun, batch.journal.account.use);
    await runBatch({
      batch,
      guard,
      budgets,
      concurrency,
      acceptStubs: options.acceptStubs ?? false,
      stopper,
      progress: { add: () => undefined, end: () => undefined },
      note: (note) => notes.push(note),
    });
    await batch.close();
    guard.close();
    const { tally, journal } = batch;
    return { tally, account: journal.account, notes, calls: provider.calls, stopper };
  };

  const finished = async (): Promise<string[]> => {
    const text = await readFile(out, "utf8");
    return text
      .split("\n")
      .slice(0, -1)
      .map((one) => parseOutLine(one)?.id ?? "unreadable");
  };
  return { run, finished, out, journalPath };
}

test("lines that can't be used are told by number, and the batch goes on", async () => {
  const { run, finished } = await createBatch(
    [
      `\u{feff}${line("a")}\r`,
      '{"id":"b","prompt":',
      "",
      line("a"),
      `"${"x".repeat(1024 * 1024)}"`,
      line("c", false),
    ].join("\n"),
  );
  const { notes, tally } = await run();
  expect(notes).toStrictEqual([
    "line 2: not JSON; passed over",
    "line 4: its id is an earlier line's; passed over",
    "line 5: longer than 1048576 bytes; passed over",
  ]);
  expect(tally).toMatchObject({ malformed: 2, duplicates: 1, finished: 2 });
  await expect(finished()).resolves.toStrictEqual(expect.arrayContaining(["a", "c"]));
});

test("an empty file is a finished batch", async () => {
  const { run, finished } = await createBatch("");
  const { tally } = await run();
  expect(tally).toMatchObject({ finished: 0, unfinishedJobs: 0, malformed: 0 });
  await expect(finished()).resolves.toStrictEqual([]);
});

test("a finished job is never made again", async () => {
  const { run, finished } = await createBatch([line("a"), line("b", false)].join("\n"));
  await run();
  const again = await run();
  expect(again.calls).toHaveLength(0);
  expect(again.tally).toMatchObject({ finished: 2, finishedEarlier: 2 });
  await expect(finished()).resolves.toHaveLength(2);
});

const hundred = Array.from({ length: 100 }, (_, index) => line(`job ${index}`)).join("\n");

test("jobs wait for what the calls under way give back before they are left unfinished", async () => {
  const { run } = await createBatch(hundred);
  const caps = { calls: 100, tokens: 2 * worstCase + 100 * 20 };
  const { tally, account } = await run({ caps, concurrency: 8 });
  expect(tally).toMatchObject({ finished: 100, unfinishedJobs: 0 });
  expect(account.use).toMatchObject({ calls: 100, tokens: 2000 });
});

test("jobs that lacked budget are taken up when there is more, and the budget goes on", async () => {
  const { run, finished } = await createBatch(hundred);
  const first = await run({ caps: { calls: 30, tokens: 1_000_000 } });
  expect(first.calls).toHaveLength(30);
  expect(first.tally).toMatchObject({ finished: 30, unfinishedJobs: 70 });
  expect([...first.tally.unfinished]).toStrictEqual([["BUDGET_CALLS", 70]]);

  const second = await run({ caps: { calls: 30, tokens: 1_000_000 } });
  expect(second.calls).toHaveLength(0);

  const third = await run({ caps: { calls: 40, tokens: 1_000_000 } });
  expect(third.calls).toHaveLength(10);

  const last = await run({ caps: { calls: 40, tokens: 1_000_000 }, acceptStubs: true });
  expect(last.calls).toHaveLength(0);
  expect(last.tally).toMatchObject({ finished: 100, byPath: { ai: 40, stub: 60 } });
  const ids = await finished();
  expect(new Set(ids).size).toBe(100);
  expect(ids).toHaveLength(100);
});

test("a kill in the middle leaves the rest to a later start", async () => {
  const { run } = await createBatch(hundred);
  const flags = staticFlags({ slotgen_ai: { enabled: true } });
  const killed = await run({
    flags,
    onCall: (call) => {
      if (call.asked.input.id === "job 20") flags.set("slotgen_ai", { killed: true });
      else call.reply(valueReply(answer, usage));
    },
  });
  expect([...killed.tally.unfinished.keys()]).toStrictEqual(["KILLED"]);
  expect(killed.tally.finished + killed.tally.unfinishedJobs).toBe(100);
  expect(killed.calls.length).toBeLessThan(30);

  const still = await run({ flags });
  expect(still.calls).toHaveLength(0);
  expect(still.tally.finished).toBe(killed.tally.finished);

  flags.set("slotgen_ai", { killed: false });
  const after = await run({ flags });
  expect(after.tally).toMatchObject({ finished: 100, unfinishedJobs: 0 });
});

test("a batch that is begun shut is finished with stubs", async () => {
  const { run } = await createBatch(hundred);
  const flags = staticFlags({ slotgen_ai: { enabled: true, killed: true } });
  const { tally } = await run({ flags });
  expect(tally).toMatchObject({ finished: 100, byPath: { ai: 0, stub: 100 } });
});

test("once a file can't be written the run ends, and what the guard then says finishes no job", async () => {
  const { run, finished } = await createBatch(hundred);
  const { stopper, calls } = await run({
    onCall: (call, running) => {
      running.break(new Error("disk full"));
      call.reply(errorReply("INTERNAL", { dispatched: false }));
    },
  });
  expect(stopper.broken).toBeDefined();
  expect(calls.length).toBeLessThanOrEqual(4);
  await expect(finished()).resolves.toStrictEqual([]);
  const { tally } = await run();
  expect(tally).toMatchObject({ finished: 100, byPath: { ai: 100 } });
});

test("from wherever a crash cut the two files, every job ends up finished exactly once", async () => {
  const ids = Array.from({ length: 12 }, (_, index) => `job ${index}`);
  const { run, finished, out, journalPath } = await createBatch(
    ids.map((id, index) => line(id, index % 3 !== 0)).join("\n"),
  );
  const caps = { calls: 1000, tokens: 1_000_000 };
  await run({ caps });
  const whole = { out: await readFile(out), journal: await readFile(journalPath) };
  const startLine = whole.journal.indexOf("\n") + 1;
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: whole.out.length }),
      fc.integer({ min: startLine, max: whole.journal.length }),
      async (outBytes, journalBytes) => {
        await writeFile(out, whole.out);
        await truncate(out, outBytes);
        await writeFile(journalPath, whole.journal);
        await truncate(journalPath, journalBytes);
        const { tally } = await run({ caps });
        expect(tally).toMatchObject({ finished: 12, unfinishedJobs: 0 });
        await expect(finished().then((all) => all.toSorted())).resolves.toStrictEqual(
          ids.toSorted(),
        );
        await expect(isReadable(journalPath)).resolves.toBe(true);
      },
    ),
    { numRuns: 60 },
  );
});

async function isReadable(journalPath: string): Promise<boolean> {
  const lines = (await readFile(journalPath, "utf8")).split("\n").slice(0, -1);
  return lines.every((one) => parseJournalRecord(one) !== undefined);
}
