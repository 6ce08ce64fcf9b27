import { defineContract } from "@sluice/contract";
import {
  delta,
  errorReply,
  FakeClock,
  fakeProvider,
  sampleFeature,
  type SampleJob,
} from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { createGuard, staticFlags } from "./index.ts";

const job: SampleJob = { prompt: "p" };
const request = { subject: "ann", run: "run" };
const usage = { inputTokens: 7, outputTokens: 13 };

describe("what a stream is charged", () => {
  const contract = defineContract({
    ok: z.object({ status: z.literal("OK"), text: z.string() }),
    failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
    stub: z.object({ status: z.literal("STUB"), text: z.string() }),
    text: { field: "text", maxChars: 10_000 },
  });

  async function streaming(chars: number) {
    const clock = new FakeClock();
    const provider = fakeProvider<SampleJob>({ streams: true, inputTokens: () => 10 });
    const guard = createGuard({
      ...sampleFeature,
      contract,
      provider,
      flags: staticFlags({ sample_ai: { enabled: true } }),
      clock,
      budget: { tokensPerRun: 10_000, maxOutputTokens: 100 },
      retry: { maxRetries: 0 },
      sinks: [() => 0],
    });
    const stream = guard.stream(job, request);
    await clock.advanceAsync(0);
    if (chars > 0) provider.last().emit(delta("x".repeat(chars)));
    await clock.advanceAsync(0);
    const spent = async (): Promise<number> => {
      await stream.outcome;
      expect(guard.inFlight).toBe(0);
      return guard.budget.use("run").tokens;
    };
    return { guard, clock, stream, call: provider.last(), spent };
  }

  it.each([
    ["was reserved", 40, 110],
    ["was seen, where that is more", 800, 10 + 200],
  ])("where it is cut without usage is what %s", async (_, chars, tokens) => {
    const { call, spent } = await streaming(chars);
    call.cut();
    expect(await spent()).toBe(tokens);
  });

  it.each([
    ["zeros", { inputTokens: 0, outputTokens: 0 }, 110],
    ["less than was reserved", usage, 110],
    ["more than was reserved", { inputTokens: 5000, outputTokens: 130 }, 5130],
  ])("where it is cut takes a running usage for a lower bound: %s", async (_, told, tokens) => {
    const { call, spent } = await streaming(40);
    call.emit({ type: "usage", usage: told });
    call.cut();
    expect(await spent()).toBe(tokens);
  });

  it("where it ends is the most that was told, whatever zeros come after it", async () => {
    const { call, spent } = await streaming(40);
    call.emit(
      { type: "usage", usage },
      { type: "usage", usage: { inputTokens: 0, outputTokens: 0 } },
    );
    call.emit({ type: "finish" });
    expect(await spent()).toBe(20);
  });

  it("where it is left is at least what was told, and the record says it", async () => {
    const { call, clock, stream, spent } = await streaming(4);
    call.emit({ type: "usage", usage: { inputTokens: 5000, outputTokens: 70 } });
    await clock.advanceAsync(0);
    stream.cancel();
    expect(await spent()).toBe(5070);
    expect((await stream.outcome).record.usage).toEqual({ inputTokens: 5000, outputTokens: 70 });
  });

  it.each([
    [400, 0],
    [401, 0],
    [429, 0],
    [307, 0],
    [408, 110],
    [503, 110],
  ])("where the host answers %i instead is %i tokens", async (httpStatus, tokens) => {
    const { call, guard, spent } = await streaming(0);
    const failure = { ...errorReply("PROVIDER_BAD_REQUEST"), httpStatus };
    call.emit({ type: "failed", failure });
    expect(await spent()).toBe(tokens);
    expect(guard.budget.use("run").calls).toBe(1);
  });

  it.each([
    ["nothing was seen", 0, 10],
    ["some was seen", 25, 35],
    ["more was seen than reserved", 800, 110],
  ])("where it is cancelled is the prompt and what was seen: %s", async (_, chars, tokens) => {
    const byReader = await streaming(chars);
    byReader.stream.cancel();
    expect(await byReader.spent()).toBe(tokens);
    const byKill = await streaming(chars);
    byKill.guard.kill();
    expect(await byKill.spent()).toBe(tokens);
  });

  it("where a clock cuts it is what was reserved", async () => {
    const { clock, spent } = await streaming(40);
    await clock.advanceAsync(30_000);
    expect(await spent()).toBe(110);
  });

  it("where it finishes is its usage, or the reservation where it tells none", async () => {
    const told = await streaming(40);
    told.call.emit({ type: "usage", usage }, { type: "finish" });
    expect(await told.spent()).toBe(20);
    const untold = await streaming(40);
    untold.call.emit({ type: "finish" });
    expect(await untold.spent()).toBe(110);
  });

  it("where it failed before it was dispatched is nothing", async () => {
    const { call, spent } = await streaming(0);
    call.emit({
      type: "failed",
      failure: errorReply("PROVIDER_UNAVAILABLE", { dispatched: false }),
    });
    expect(await spent()).toBe(0);
  });
});
