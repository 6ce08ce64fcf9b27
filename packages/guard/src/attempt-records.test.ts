import type { ProviderReply, RouteStrategy } from "@sluice/contract";
import {
  delta,
  errorReply,
  FakeClock,
  fakeProvider,
  recordingSink,
  sampleAnswer,
  sampleFeature,
  valueReply,
  type SampleJob,
} from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { createGuard, staticFlags } from "./index.ts";

const job: SampleJob = { prompt: "p" };
const usage = { inputTokens: 7, outputTokens: 13 };
const good = valueReply(sampleAnswer, usage);
const down: ProviderReply = { ...errorReply("PROVIDER_UNAVAILABLE"), httpStatus: 502 };

/** Each provider gives its replies in their order, the last one again and again. */
function bench(
  replies: Readonly<Record<string, readonly ProviderReply[]>>,
  more: { readonly strategy?: RouteStrategy; readonly onFailure?: "failed" | "stub" } = {},
) {
  const clock = new FakeClock();
  const record = recordingSink();
  const providers = Object.entries(replies).map(([name, script]) => {
    const left = [...script];
    return fakeProvider<SampleJob>({
      name,
      model: `${name}-model`,
      onCall(call) {
        const reply = left.length > 1 ? left.shift() : left[0];
        if (reply !== undefined) call.reply(reply);
      },
    });
  });
  const guard = createGuard({
    ...sampleFeature,
    onFailure: more.onFailure ?? "failed",
    route: {
      providers,
      candidates: providers.map(({ name }) => ({
        provider: name,
        promptTemplateVersion: `${name}-v1`,
      })),
      strategy: more.strategy ?? "failover",
      failover: true,
    },
    prices: { "second-model": { inputNanoUsdPerToken: 1, outputNanoUsdPerToken: 2 } },
    flags: staticFlags({ sample_ai: { enabled: true } }),
    clock,
    retry: { maxRetries: 1, budgetRatio: 1 },
    random: () => 0.5,
    sinks: [record.sink],
  });
  return {
    guard,
    clock,
    providers,
    async run(request: { readonly provider?: string; readonly requestId?: string } = {}) {
      const running = guard.run(job, { subject: "ann", ...request });
      await clock.advanceAsync(1000);
      const outcome = await running;
      guard.flush();
      const events = record.of("outcome");
      expect(events).toHaveLength(1);
      return { outcome, event: events[0] };
    },
  };
}

describe("I11 the record of a request, and its event", () => {
  it("of a retry name no fallback", async () => {
    const { outcome, event } = await bench({ first: [down, good] }).run();
    expect(outcome.record).toMatchObject({
      selectedProvider: "first",
      fallbackUsed: false,
      promptTemplateVersion: "first-v1",
    });
    expect(outcome.record).not.toHaveProperty("fallbackProvider");
    expect(event).toMatchObject({ selected_provider: "first", fallback_used: false });
    expect(event).not.toHaveProperty("fallback_provider");
  });

  it("of a failover name who was selected, who stood in, and each attempt", async () => {
    const { outcome, event } = await bench({ first: [down], second: [good] }).run({
      requestId: "req-7",
    });
    expect(outcome.record).toMatchObject({
      requestId: "req-7",
      selectedProvider: "first",
      fallbackProvider: "second",
      fallbackUsed: true,
      promptTemplateVersion: "second-v1",
      routeStrategy: "failover",
      latencyMs: 100,
      usage,
      costNanoUsd: 33,
    });
    expect(event).toMatchObject({
      outcome: "SUCCEEDED",
      path: "ai",
      request_id: "req-7",
      selected_provider: "first",
      fallback_provider: "second",
      fallback_used: true,
      prompt_template_version: "second-v1",
      route_strategy: "failover",
      latency_ms: 100,
      attempts: [
        {
          provider: "first",
          model: "first-model",
          code: down.ok ? "" : down.code,
          http_status: 502,
        },
        { provider: "first", model: "first-model", http_status: 502 },
        {
          provider: "second",
          model: "second-model",
          input_tokens: 7,
          output_tokens: 13,
          cost_nano_usd: 33,
        },
      ],
      input_tokens: 7,
      output_tokens: 13,
      cost_nano_usd: 33,
    });
  });

  it("of a failover that failed too name the last failure, and the safe path as the fallback", async () => {
    const made = bench(
      { first: [down], second: [errorReply("PROVIDER_QUOTA")] },
      { onFailure: "stub" },
    );
    const { event } = await made.run();
    expect(event).toMatchObject({
      outcome: "FAILED",
      path: "stub",
      failure_code: "PROVIDER_QUOTA",
      selected_provider: "first",
      fallback_provider: "second",
      fallback_used: true,
    });
  });

  it("name the provider that was asked for, and who was selected instead of it", async () => {
    const { event } = await bench({ first: [good], second: [good] }, { strategy: "requested" }).run(
      {
        provider: "second",
      },
    );
    expect(event).toMatchObject({
      requested_provider: "second",
      selected_provider: "second",
      route_strategy: "requested",
    });
    const other = await bench({ first: [good], second: [good] }).run({ provider: "second" });
    expect(other.event).toMatchObject({
      requested_provider: "second",
      selected_provider: "first",
    });
  });

  it("of a stream tell when its first content left, over attempts", async () => {
    const clock = new FakeClock();
    const record = recordingSink();
    const providers = ["first", "second"].map((name) =>
      fakeProvider<SampleJob>({ name, streams: true }),
    );
    const guard = createGuard({
      ...sampleFeature,
      route: {
        providers,
        candidates: [{ provider: "first" }, { provider: "second" }],
        failover: true,
      },
      flags: staticFlags({ sample_ai: { enabled: true } }),
      clock,
      retry: { maxRetries: 0 },
      sinks: [record.sink],
    });
    const stream = guard.stream(job, { subject: "ann" });
    await clock.advanceAsync(300);
    providers[0]?.last().cut();
    await clock.advanceAsync(200);
    providers[1]?.last().emit(delta(JSON.stringify(sampleAnswer)));
    await clock.advanceAsync(100);
    providers[1]?.last().emit({ type: "finish" });
    await stream.outcome;
    guard.flush();
    // A structured answer leaves whole; what its provider sent first came after 200 ms.
    expect(record.of("outcome")).toMatchObject([
      {
        fallback_provider: "second",
        latency_ms: 600,
        attempts: [
          { code: "STREAM_CUT", latency_ms: 300 },
          { latency_ms: 300, first_content_ms: 200 },
        ],
      },
    ]);
  });
});

describe("the idempotency key", () => {
  it("is the same over the retries of a call and over its failover, and another for another request", async () => {
    const made = bench({ first: [down], second: [good] });
    await made.run();
    void made.guard.run(job, { subject: "ann" });
    await made.clock.advanceAsync(1000);
    const keys = made.providers.map(({ calls }) => calls.map(({ asked }) => asked.idempotencyKey));
    const [one, two] = keys[1] ?? [];
    expect(keys).toEqual([
      [one, one, two, two],
      [one, two],
    ]);
    expect(one).not.toBe(two);
  });
});
