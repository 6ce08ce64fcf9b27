import { LLMock } from "@copilotkit/aimock";
import {
  chatCompletion,
  seededRandom,
  sendJson,
  startProcess,
  startUpstream,
  type ProcessEnd,
  type RunningProcess,
} from "@sluice/testkit";
import { randomInt } from "node:crypto";
import { mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { BatchAccount } from "./batch-account.ts";
import { exitCodes } from "./exit-codes.ts";
import { parseJournalRecord, type BatchCaps } from "./journal-record.ts";
import { parseOutLine, type OutLine } from "./out-line.ts";

const main = fileURLToPath(new URL("main.ts", import.meta.url));
const examples = fileURLToPath(new URL("../examples/", import.meta.url));
const answer = JSON.stringify({ status: "OK", slots: [{ title: "SENTINEL", minutes: 10 }] });
const timeoutMs = 60_000;
const on = { FEATURE_SLOTGEN_AI: "true" };

vi.setConfig({ testTimeout: timeoutMs });

const line = (id: string, allowAI = true): string =>
  JSON.stringify({ id, prompt: `SENTINEL of ${id}`, metadata: { allowAI } });

/** A model on this machine; `onRequest` decides when and what it answers. */
async function startModel(onRequest: () => string | Promise<string> = () => answer) {
  let requests = 0;
  const model = new LLMock({ host: "127.0.0.1", port: 0, journalMaxEntries: 0 });
  model.on({ endpoint: "chat" }, async () => {
    requests += 1;
    return { content: await onRequest() };
  });
  await model.start();
  onTestFinished(() => model.stop());
  return {
    env: {
      ...on,
      OPENAI_API_KEY: "key",
      OPENAI_BASE_URL: `${model.url}/v1`,
    },
    get requests() {
      return requests;
    },
  };
}

async function linesOf(path: string): Promise<string[]> {
  const text = await readFile(path, "utf8").catch(() => "");
  // What a crash tore is no line yet.
  return text.split("\n").slice(0, -1);
}

async function createFiles(jobs: string) {
  const directory = await mkdtemp(join(tmpdir(), "slotgen-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  const at = (name: string): string => join(directory, name);
  await writeFile(at("jobs.jsonl"), jobs);
  return {
    at,
    run: (args: readonly string[], env: Readonly<Record<string, string>> = {}): RunningProcess =>
      startProcess(main, {
        args: ["run", at("jobs.jsonl"), "--out", at("out.jsonl"), "--json", ...args],
        env,
      }),
    out: async (): Promise<OutLine[]> =>
      (await linesOf(at("out.jsonl"))).map((text) => {
        const parsed = parseOutLine(text);
        if (parsed === undefined) throw new Error("a line of the out file can't be read");
        return parsed;
      }),
    journal: () => linesOf(at("out.jsonl.journal")),
    /** Resolves when the out file has grown to so many bytes, or the process has ended. */
    grownOrEnded: async (bytes: number, process: RunningProcess): Promise<void> => {
      let ended = false;
      void process.ended.then(() => {
        ended = true;
        return undefined;
      });
      const grown = async (): Promise<void> => {
        const { size } = await stat(at("out.jsonl"));
        if (size < bytes && !ended) throw new Error("not yet");
      };
      await vi.waitFor(grown, { timeout: timeoutMs, interval: 1 });
    },
  };
}

const summaryOf = (run: RunningProcess): unknown => JSON.parse(run.stdout);

/** The journal's account; at each of its lines the caps hold. */
function assertWithinCaps(journal: readonly string[], caps: BatchCaps): BatchAccount {
  const account = new BatchAccount();
  for (const text of journal) {
    const record = parseJournalRecord(text);
    if (record === undefined) throw new Error("a line of the journal can't be read");
    account.apply(record);
    expect(account.use.calls).toBeLessThanOrEqual(caps.calls);
    expect(account.use.tokens).toBeLessThanOrEqual(caps.tokens);
  }
  return account;
}

const nothing = (): void => undefined;

/** Kills the process when its model is asked for the nth time. */
function killAt(request: number, afterAnswer: boolean, process: RunningProcess): () => void {
  let left = request;
  return () => {
    left -= 1;
    if (left > 0) return;
    if (afterAnswer) setImmediate(() => void process.kill());
    else void process.kill();
  };
}

const seed = Number(process.env["SLUICE_SEED"] ?? randomInt(2 ** 31));

describe(`killed with SIGKILL at random moments and started again (SLUICE_SEED=${seed})`, () => {
  test("each job is finished exactly once, and no cap is passed", {
    timeout: timeoutMs,
  }, async () => {
    const random = seededRandom(seed);
    const asked = Array.from({ length: 40 }, (_, index) => `asked ${index}`);
    const stubbed = Array.from({ length: 10 }, (_, index) => `stubbed ${index}`);
    const ids = [...asked, ...stubbed].toSorted();
    const jobs = ids.map((id) => line(id, id.startsWith("asked")));
    const { run, out, journal, grownOrEnded } = await createFiles(
      [...jobs.slice(0, 20), "{", ...jobs.slice(20), jobs[0]].join("\n"),
    );

    // Too small at first, so that the budget ends before the jobs do.
    let caps = { calls: 25, tokens: 1_000_000 };
    let onRequest = nothing;
    const model = await startModel(() => {
      onRequest();
      return answer;
    });

    let killed = 0;
    let end: ProcessEnd | undefined;
    for (let starts = 0; end?.code !== exitCodes.unusableLines; starts += 1) {
      expect(starts).toBeLessThan(20);
      const process = run(["--max-calls", `${caps.calls}`, "--max-tokens", "1000000"], model.env);
      if (killed >= 8) {
        onRequest = nothing;
      } else if (random.next() < 0.6) {
        onRequest = killAt(random.integer(1, 8), random.next() < 0.5, process);
      } else {
        onRequest = nothing;
        await grownOrEnded(random.integer(1, 3000), process);
        await process.kill();
      }
      end = await process.ended;
      if (end.signal === "SIGKILL") killed += 1;
      expect([null, exitCodes.unfinished, exitCodes.unusableLines]).toContain(end.code);

      const made = (await out()).map(({ id }) => id);
      expect(new Set(made).size).toBe(made.length);
      const account = assertWithinCaps(await journal(), caps);
      // Whatever reached the model stands in the journal.
      expect(model.requests).toBeLessThanOrEqual(account.use.calls);
      if (end.code === exitCodes.unfinished) caps = { ...caps, calls: 100 };
    }
    expect(killed).toBeGreaterThan(0);

    const lines = await out();
    expect(lines.map(({ id }) => id).toSorted()).toStrictEqual(ids);
    for (const { id, path } of lines) expect(path).toBe(id.startsWith("asked") ? "ai" : "stub");
    expect(model.requests).toBeLessThanOrEqual(caps.calls);
  });
});

test("SIGTERM aborts what is in flight, tells where the batch is, and asks again under the same keys", async () => {
  const { run, out } = await createFiles([line("a"), line("b"), line("c")].join("\n"));
  const model = await startUpstream(() => undefined);
  onTestFinished(() => model.close());
  const env = { ...on, OPENAI_API_KEY: "key", OPENAI_BASE_URL: model.url };
  const stopped = run(["--concurrency", "2"], env);
  await model.received(2);
  stopped.signal("SIGTERM");
  await expect(stopped.ended).resolves.toMatchObject({ code: exitCodes.terminated });
  await model.settled();
  expect(stopped.stderr).toContain("slotgen: SIGTERM: stopping");
  expect(summaryOf(stopped)).toMatchObject({
    finished: 0,
    unfinishedByReason: { STOPPED: 2 },
    reachedEnd: false,
    unsettledCalls: 2,
    exitCode: exitCodes.terminated,
  });

  model.answerWith((res) => sendJson(res, chatCompletion(answer)));
  const again = run([], env);
  await expect(again.ended).resolves.toMatchObject({ code: exitCodes.finished });
  await expect(out()).resolves.toHaveLength(3);
  const [first, second, ...later] = model.requests.map(({ headers }) => headers["idempotency-key"]);
  expect(later).toHaveLength(3);
  expect(later).toStrictEqual(expect.arrayContaining([first, second]));
});

test("a second run on the same file is refused while the first goes on", {
  timeout: timeoutMs,
}, async () => {
  const { run } = await createFiles(line("a"));
  const asked = Promise.withResolvers<void>();
  const release = Promise.withResolvers<string>();
  const model = await startModel(() => {
    asked.resolve();
    return release.promise;
  });
  const first = run([], model.env);
  await asked.promise;
  const second = run([], model.env);
  await expect(second.ended).resolves.toMatchObject({ code: exitCodes.usage });
  expect(second.stderr).toMatch(/^slotgen: --out: got ".*", which another run has open, expected/);
  release.resolve(answer);
  await expect(first.ended).resolves.toMatchObject({ code: exitCodes.finished });
});

test("a kill in the flag file stops the batch; without it the same command goes on", async () => {
  const { run, at, out } = await createFiles([line("a"), line("b"), line("c")].join("\n"));
  const flags = at("flags.env");
  // By rename: a file that is written in place can be seen empty.
  const setFlags = async (text: string): Promise<void> => {
    await writeFile(at("flags.next"), text);
    await rename(at("flags.next"), flags);
  };
  const open = "FEATURE_SLOTGEN_AI=true\n";
  await setFlags(open);
  const never = Promise.withResolvers<string>();
  let answers = 1;
  const model = await startModel(async () => {
    answers -= 1;
    if (answers >= 0) return answer;
    await setFlags(`${open}SLOTGEN_AI_KILL=true\n`);
    return never.promise;
  });
  const { OPENAI_API_KEY, OPENAI_BASE_URL } = model.env;
  const env = { OPENAI_API_KEY, OPENAI_BASE_URL };
  const args = ["--flags", flags, "--concurrency", "1"];
  const killed = run(args, env);
  await expect(killed.ended).resolves.toMatchObject({ code: exitCodes.shut });
  expect(summaryOf(killed)).toMatchObject({ finished: 1, unfinishedByReason: { KILLED: 2 } });
  expect(model.requests).toBe(2);

  answers = 10;
  await setFlags(open);
  const again = run(args, env);
  await expect(again.ended).resolves.toMatchObject({ code: exitCodes.finished });
  await expect(out()).resolves.toMatchObject([{ path: "ai" }, { path: "ai" }, { path: "ai" }]);
});

test("an answer that breaks the contract stops the batch, and no content is printed or journaled", {
  timeout: timeoutMs,
}, async () => {
  const { run, journal } = await createFiles(
    [line("a"), `{"id":"SENTINEL`, line("b"), line("c")].join("\n"),
  );
  const model = await startModel(() => "SENTINEL, not JSON");
  const tripped = run(["--concurrency", "1"], model.env);
  await expect(tripped.ended).resolves.toMatchObject({ code: exitCodes.shut });
  expect(summaryOf(tripped)).toMatchObject({
    byFailure: { OUTPUT_NOT_JSON: 1 },
    unfinishedByReason: { TRIPPED: 2 },
    malformedLines: 1,
  });
  expect(tripped.stderr).toContain("slotgen: line 2: not JSON; passed over");
  const told = [tripped.stdout, tripped.stderr, ...(await journal())].join("\n");
  expect(told).not.toContain("SENTINEL");
});

test("without a key the safe path serves, and one line says what to set", {
  timeout: timeoutMs,
}, async () => {
  const { run, out } = await createFiles([line("a"), line("b")].join("\n"));
  const process = run([], on);
  await expect(process.ended).resolves.toMatchObject({ code: exitCodes.finished });
  expect(process.stderr.match(/^.*OPENAI_API_KEY.*$/gm)).toHaveLength(1);
  await expect(out()).resolves.toMatchObject([{ path: "stub" }, { path: "stub" }]);
});

test("the example runs as the README tells it", async () => {
  const { at } = await createFiles("");
  const process = startProcess(main, {
    args: [
      "run",
      join(examples, "jobs.jsonl"),
      `--out=${at("example.jsonl")}`,
      "--demo-upstream",
      `--allowlist=${join(examples, "allowlist.json")}`,
      `--prices=${join(examples, "prices.json")}`,
      "--max-cost-usd=0.50",
    ],
    env: on,
  });
  await expect(process.ended).resolves.toMatchObject({ code: exitCodes.unusableLines });
  expect(process.stderr).toContain("a stand-in on this machine answers");
  expect(process.stderr).toContain("line 9: not JSON; passed over");
  expect(process.stdout).toMatch(/^ai +7$/m);
  expect(process.stdout).toMatch(/^stub +4$/m);
  expect(process.stdout).toMatch(/^NOT_ALLOWLISTED +2$/m);
});
