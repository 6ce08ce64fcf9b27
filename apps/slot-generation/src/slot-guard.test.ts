import type { Provider } from "@sluice/contract";
import { envFlags, memoryBudgets } from "@sluice/guard";
import { fakeProvider, textReply, valueReply } from "@sluice/testkit";
import { describe, expect, test } from "vitest";
import type { Job } from "./job.ts";
import { batchRun, createSlotGuard } from "./slot-guard.ts";

const answer = { status: "OK", slots: [{ title: "Recall", minutes: 10 }] };

function guardOf(
  provider: Provider<Job>,
  variables: Readonly<Record<string, string | undefined>>,
  allowlist?: Parameters<typeof createSlotGuard>[0]["allowlist"],
) {
  return createSlotGuard({
    provider,
    flags: envFlags({ variables }),
    allowlist,
    caps: { calls: 10, tokens: 1_000_000 },
    maxOutputTokens: 800,
    prices: undefined,
    budgets: memoryBudgets(),
    sinks: [() => undefined],
  });
}

const jobOf = (metadata: Job["metadata"]): Job => ({
  id: "a",
  prompt: "Fractions",
  slots: 2,
  minutes: 20,
  metadata,
});

const request = (job: Job) => ({ subject: job.id, attributes: job.metadata, run: batchRun });

describe("the model is asked only when the feature is on, not killed, and the job opted in", () => {
  const enabled = ["true", "TRUE", "1", " true", "", undefined];
  const kill = [undefined, "", "false", "0", "true", "1", "False", "no", "?"];
  const allowAI = [true, "true", 1, false, null, undefined, {}];
  const cells = enabled.flatMap((on) =>
    kill.flatMap((killed) => allowAI.map((opted) => ({ on, killed, opted }))),
  );
  const killedByNothing = new Set([undefined, "", "false", "0"]);

  test.each(cells)("FEATURE $on, KILL $killed, allowAI $opted", async ({ on, killed, opted }) => {
    const provider = fakeProvider<Job>({ onCall: (call) => call.reply(valueReply(answer)) });
    const guard = guardOf(provider, { FEATURE_SLOTGEN_AI: on, SLOTGEN_AI_KILL: killed });
    const job = jobOf({ allowAI: opted });
    const outcome = await guard.run(job, request(job));
    const open = on === "true" && killedByNothing.has(killed) && opted === true;
    expect(provider.calls).toHaveLength(open ? 1 : 0);
    expect(outcome.status).toBe(open ? "SUCCEEDED" : "STUBBED");
  });
});

const on = { FEATURE_SLOTGEN_AI: "true" };

test("allowlist rules look at the job's metadata", async () => {
  const provider = fakeProvider<Job>({ onCall: (call) => call.reply(valueReply(answer)) });
  const guard = guardOf(provider, on, [{ subject: "maths", board: "aqa" }]);
  const listed = jobOf({ allowAI: true, subject: "maths", board: "aqa" });
  const other = jobOf({ allowAI: true, subject: "maths", board: "ocr" });
  await expect(guard.run(listed, request(listed))).resolves.toMatchObject({ status: "SUCCEEDED" });
  await expect(guard.run(other, request(other))).resolves.toMatchObject({
    reason: "NOT_ALLOWLISTED",
  });
});

test("one answer that breaks the contract fails its job and trips the batch", async () => {
  const provider = fakeProvider<Job>({ onCall: (call) => call.reply(textReply("no slots")) });
  const guard = guardOf(provider, on);
  const job = jobOf({ allowAI: true });
  await expect(guard.run(job, request(job))).resolves.toMatchObject({
    status: "FAILED",
    value: { status: "FAILED", code: "OUTPUT_NOT_JSON", slots: [] },
  });
  await expect(guard.run(job, request(job))).resolves.toMatchObject({ reason: "TRIPPED" });
  expect(provider.calls).toHaveLength(1);
});

test("the slots that were made are measured on both paths", async () => {
  const provider = fakeProvider<Job>({ onCall: (call) => call.reply(valueReply(answer)) });
  const guard = guardOf(provider, on);
  const asked = jobOf({ allowAI: true });
  const stubbed = jobOf({ allowAI: false });
  await expect(guard.run(asked, request(asked))).resolves.toMatchObject({
    record: { measures: { slotsMade: 1 } },
  });
  await expect(guard.run(stubbed, request(stubbed))).resolves.toMatchObject({
    record: { measures: { slotsMade: 2 } },
  });
});
