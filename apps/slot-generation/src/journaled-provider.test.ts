import type { ProviderCall } from "@sluice/contract";
import { errorReply, fakeProvider, valueReply, type FakeCall } from "@sluice/testkit";
import { readFileSync } from "node:fs";
import { mkdtemp, open, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { Journal } from "./journal.ts";
import { journaledProvider } from "./journaled-provider.ts";
import type { Job } from "./job.ts";

const price = { inputNanoUsdPerToken: 10, outputNanoUsdPerToken: 100 };

async function journaled(onCall: (call: FakeCall<Job>) => void, mode = "a+") {
  const directory = await mkdtemp(join(tmpdir(), "slotgen-"));
  const path = join(directory, "journal");
  await (await open(path, "a")).close();
  const file = await open(path, mode);
  onTestFinished(async () => {
    await file.close();
    await rm(directory, { recursive: true });
  });
  const journal = await Journal.open(file, "journal");
  const inner = fakeProvider<Job>({ onCall });
  const onBroken = vi.fn<(error: unknown) => void>();
  const provider = journaledProvider({ provider: inner, journal, price, onBroken });
  const written = async (): Promise<unknown[]> => {
    await journal.settled();
    const text = await readFile(path, "utf8");
    return text
      .split("\n")
      .slice(0, -1)
      .map((line): unknown => JSON.parse(line));
  };
  return { provider, path, inner, journal, onBroken, written };
}

const callFor = (job: string, more: Partial<ProviderCall<Job>> = {}): ProviderCall<Job> => ({
  input: { id: job, prompt: "Fractions", slots: 4, minutes: 40, metadata: {} },
  schema: {},
  tools: [],
  steps: [],
  maxOutputTokens: 50,
  reserved: { inputTokens: 100, outputTokens: 50, costNanoUsd: 6000 },
  signal: new AbortController().signal,
  idempotencyKey: `key of ${job}`,
  measure: () => undefined,
  ...more,
});

const dispatched = {
  type: "dispatched",
  call: 1,
  job: "a",
  idempotencyKey: "key of a",
  inputTokens: 100,
  outputTokens: 50,
  costNanoUsd: 6000,
};

test("what is set aside is on disk before the call leaves, the real use after it", async () => {
  let seen: unknown;
  const { provider, path, written } = await journaled((call) => {
    seen = JSON.parse(readFileSync(path, "utf8"));
    call.reply(valueReply({}, { inputTokens: 7, outputTokens: 3 }));
  });
  await provider.generate(callFor("a"));
  expect(seen).toStrictEqual(dispatched);
  await expect(written()).resolves.toStrictEqual([
    dispatched,
    { type: "settled", call: 1, inputTokens: 7, outputTokens: 3, costNanoUsd: 370 },
  ]);
});

test("a call whose use nobody told stays charged whole", async () => {
  const { provider, journal, written } = await journaled((call) => call.reply(valueReply({})));
  await provider.generate(callFor("a"));
  await expect(written()).resolves.toStrictEqual([dispatched]);
  expect(journal.account.use).toStrictEqual({ calls: 1, tokens: 150, costNanoUsd: 6000 });
});

test("a call that never left is taken back", async () => {
  const { provider, written } = await journaled((call) =>
    call.reply(errorReply("PROVIDER_UNAVAILABLE", { dispatched: false })),
  );
  await provider.generate(callFor("a"));
  await expect(written()).resolves.toStrictEqual([dispatched, { type: "voided", call: 1 }]);
});

test("a kill that arrives while the disk is at it keeps the call from leaving", async () => {
  const { provider, inner, written } = await journaled(() => undefined);
  const controller = new AbortController();
  const reply = provider.generate(callFor("a", { signal: controller.signal }));
  controller.abort();
  await expect(reply).resolves.toMatchObject({ ok: false, dispatched: false });
  expect(inner.calls).toHaveLength(0);
  await expect(written()).resolves.toStrictEqual([dispatched, { type: "voided", call: 1 }]);
});

test("a call that can't be written down is not made", async () => {
  const { provider, inner, onBroken } = await journaled(() => undefined, "r");
  await expect(provider.generate(callFor("a"))).resolves.toMatchObject({
    ok: false,
    dispatched: false,
  });
  expect(inner.calls).toHaveLength(0);
  expect(onBroken).toHaveBeenCalledOnce();
});

test("a job whose call was cut off by a crash asks again under the same key", async () => {
  const { provider, inner, journal } = await journaled((call) => call.reply(valueReply({})));
  journal.account.apply({ ...dispatched, type: "dispatched", idempotencyKey: "of the crash" });
  await provider.generate(callFor("a"));
  await provider.generate(callFor("b"));
  expect(inner.calls.map(({ asked }) => asked.idempotencyKey)).toStrictEqual([
    "of the crash",
    "key of b",
  ]);
  expect(journal.account.use.calls).toBe(3);
});
