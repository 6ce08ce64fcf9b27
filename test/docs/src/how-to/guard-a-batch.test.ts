import { createGuard, staticFlags } from "@sluice/guard";
import { errorReply, fakeProvider, sampleAnswer, sampleFeature, valueReply } from "@sluice/testkit";
import type { FakeCall } from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { restoreBudget, runJob } from "./guard-a-batch.ts";

interface Job {
  readonly id: string;
  readonly prompt: string;
  readonly metadata: Readonly<Record<string, unknown>>;
}

const job: Job = { id: "job-1", prompt: "hello", metadata: { board: "aqa" } };

function batchGuard(onCall: (call: FakeCall<Job>) => void, board = "aqa") {
  return createGuard({
    ...sampleFeature,
    stub: () => ({ status: "STUB", text: "the safe path" }),
    provider: fakeProvider<Job>({ onCall }),
    flags: staticFlags({ sample_ai: { enabled: true } }),
    allowlist: [{ board }],
    budget: { callsPerRun: 42, maxOutputTokens: 80 },
  });
}

describe("the outcome that the page describes", () => {
  it.each([
    [
      "SUCCEEDED",
      batchGuard((call) => call.reply(valueReply(sampleAnswer))),
      { value: sampleAnswer },
    ],
    ["STUBBED", batchGuard(() => undefined, "ocr"), { reason: "NOT_ALLOWLISTED" }],
    [
      "FAILED",
      batchGuard((call) => call.reply(errorReply("REFUSED"))),
      { failure: { code: "REFUSED" } },
    ],
  ])("%s holds what the table says", async (status, guard, held) => {
    expect(await runJob(guard, job)).toMatchObject({ status, ...held });
    guard.close();
  });
});

describe("the budget that the page restores", () => {
  it("leaves one call of 42 to the run", async () => {
    const guard = batchGuard((call) => call.reply(valueReply(sampleAnswer)));
    restoreBudget(guard);
    expect(await runJob(guard, job)).toMatchObject({ status: "SUCCEEDED" });
    expect(await runJob(guard, job)).toMatchObject({ status: "STUBBED", reason: "BUDGET_CALLS" });
    guard.close();
  });
});
