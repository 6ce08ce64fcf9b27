import { createGuard, staticFlags } from "@sluice/guard";
import {
  fakeProvider,
  recordingSink,
  sampleAnswer,
  sampleFeature,
  valueReply,
  type SampleJob,
} from "@sluice/testkit";
import type { MetricSample } from "@sluice/contract";
import express from "express";
import request from "supertest";
import { expect, it, onTestFinished, vi } from "vitest";
import { z } from "zod";
import { countedRoute, countingOutcomes, measuredGuard, prefixedSinks } from "./telemetry.ts";

it("the measures of the page reach the outcome and its event", async () => {
  const logged: object[] = [];
  const guard = measuredGuard({ info: (event) => void logged.push(event) });
  const outcome = await guard.run("three little slots", { subject: "job-1" });
  guard.close();
  expect(outcome.record.measures).toEqual({ slotsMade: 3 });
  expect(logged).toMatchObject([
    { event: "decision", effect: "allow" },
    { event: "outcome", measures: { slotsMade: 3 } },
  ]);
});

it("the page's sink of outcomes is given those alone, and alerts are warned of", async () => {
  const warn = vi.spyOn(process, "emitWarning").mockReturnValue(undefined);
  onTestFinished(() => warn.mockRestore());
  const counted: string[] = [];
  const guard = createGuard({
    ...sampleFeature,
    provider: fakeProvider<SampleJob>({ onCall: (call) => call.reply(valueReply(sampleAnswer)) }),
    flags: staticFlags({ sample_ai: { enabled: true } }),
    ...countingOutcomes(({ event }) => void counted.push(event)),
  });
  await guard.run({ prompt: "p" }, { subject: "ann" });
  guard.kill();
  guard.close();
  expect(counted).toEqual(["outcome"]);
  expect(warn).toHaveBeenCalledOnce();
});

it("the page's prefix is the logger's alone", async () => {
  const logged: object[] = [];
  const records = recordingSink();
  const guard = createGuard({
    ...sampleFeature,
    provider: fakeProvider<SampleJob>(),
    flags: staticFlags({}),
    ...prefixedSinks(records, { info: (event) => void logged.push(event) }),
  });
  await guard.run({ prompt: "p" }, { subject: "ann" });
  guard.close();
  expect(logged).toMatchObject([{ event: "phase3.disabled_noop" }]);
  expect(records.events).toMatchObject([{ event: "disabled_noop" }]);
});

it("the page's route counts who authentication refused, and each answer once", async () => {
  const samples: MetricSample[] = [];
  const guard = createGuard({
    ...sampleFeature,
    provider: fakeProvider<SampleJob>({ onCall: (call) => call.reply(valueReply(sampleAnswer)) }),
    flags: staticFlags({ sample_ai: { enabled: true } }),
    sinks: [() => undefined],
    metrics: (sample) => samples.push(sample),
  });
  const app = express();
  countedRoute(
    app,
    guard,
    (req, res, next) => {
      if (req.get("authorization") === undefined) res.status(401).end();
      else next();
    },
    { subject: () => "ann", input: z.object({ prompt: z.string() }) },
  );
  const post = () => request(app).post("/chat").send({ prompt: "p" });
  await post().expect(401);
  await post().set("authorization", "Bearer x").expect(200);
  const statuses = (): readonly unknown[] => {
    guard.flush();
    return samples.flatMap((sample) =>
      sample.kind === "response" ? [[sample.status, sample.arm]] : [],
    );
  };
  await vi.waitFor(
    () =>
      expect(statuses()).toEqual([
        [401, "none"],
        [200, "ai"],
      ]),
    { interval: 1 },
  );
  guard.close();
});
