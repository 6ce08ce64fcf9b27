import type { AdmissionStore } from "@sluice/contract";
import {
  createGuard,
  memoryAdmission,
  staticFlags,
  type MemoryAdmissionOptions,
} from "@sluice/guard";
import {
  FakeClock,
  fakeProvider,
  sampleAnswer,
  sampleFeature,
  valueReply,
  type SampleJob,
} from "@sluice/testkit";
import express, { type Express } from "express";
import request from "supertest";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { guardRoute } from "./guard-route.ts";

/** Of the fake clock's day seven hours are left in UTC, and 22 in Tokyo. */
const sevenLeft = Date.UTC(2026, 0, 1, 17);
const usage = { inputTokens: 10, outputTokens: 100 };
const prices = { "a-model": { inputNanoUsdPerToken: 1, outputNanoUsdPerToken: 1 } };

function served(limits: MemoryAdmissionOptions, over = (store: AdmissionStore) => store) {
  const clock = new FakeClock({ wallMs: sevenLeft });
  const provider = fakeProvider<SampleJob>({
    model: "a-model",
    inputTokens: () => 10,
    onCall: (call) => call.reply(valueReply(sampleAnswer, usage)),
  });
  const guard = createGuard({
    ...sampleFeature,
    flags: staticFlags({ sample_ai: { enabled: true } }),
    provider,
    prices,
    admission: over(memoryAdmission({ ...limits, clock })),
    budget: { callsPerRun: 100, maxOutputTokens: 100 },
    sinks: [() => undefined],
    clock,
  });
  const input = z.strictObject({ prompt: z.string() });
  const route = guardRoute(guard, { subject: ({ headers }) => String(headers["x-user"]), input });
  return { app: express().post("/job", route), guard, provider, clock };
}

const post = (app: Express, user: string) =>
  request(app).post("/job").set("x-user", user).send({ prompt: "hello" });

describe("a request that a spent budget refuses", () => {
  it.each<[reason: string, caps: { calls?: number; tokens?: number; costNanoUsd?: number }]>([
    ["BUDGET_CALLS", { calls: 1 }],
    ["BUDGET_TOKENS", { tokens: 110 }],
    ["BUDGET_COST", { costNanoUsd: 110 }],
  ])("is a rejection, 429 until the day's end, for %s", async (reason, caps) => {
    const { app, guard, provider, clock } = served({ userBudget: caps });
    await post(app, "ann").expect(200);
    const response = await post(app, "ann").expect(429);
    expect(response.headers["content-type"]).toMatch(/^application\/problem\+json/);
    expect(response.headers["retry-after"]).toBe(String(7 * 3600));
    expect(response.body).toMatchObject({
      type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
      status: 429,
      reason,
      "violated-policies": ["user-budget"],
    });
    expect(await guard.run({ prompt: "p" }, { subject: "ann" })).toMatchObject({
      status: "REJECTED",
      reason,
      retryAfterMs: 7 * 3_600_000,
    });
    expect(provider.calls).toHaveLength(1);
    // Another subject's is whole, and so is this one's once the day is over.
    await post(app, "ben").expect(200);
    clock.stepWall(7 * 3_600_000);
    await post(app, "ann").expect(200);
  });

  it("is told when the day of the budgets' own time zone ends", async () => {
    const { app } = served({ userBudget: { calls: 1 }, timeZone: "Asia/Tokyo" });
    await post(app, "ann").expect(200);
    const { headers } = await post(app, "ann").expect(429);
    expect(headers["retry-after"]).toBe(String(22 * 3600));
  });

  it("is told of each budget that is spent, its own and the one of all", async () => {
    const { app } = served({ userBudget: { calls: 1 }, globalBudget: { tokens: 120 } });
    await post(app, "ann").expect(200);
    const own = await post(app, "ann").expect(429);
    expect(own.body).toMatchObject({ "violated-policies": ["user-budget", "global-budget"] });
    const other = await post(app, "ben").expect(429);
    expect(other.body).toMatchObject({
      reason: "BUDGET_TOKENS",
      "violated-policies": ["global-budget"],
    });
  });
});

it("a store of budgets that can't tell is 503, and no budget is named", async () => {
  const { app, provider } = served({ userBudget: { calls: 1 } }, (store) => ({
    ...store,
    acquire: () => "unavailable",
  }));
  const response = await post(app, "ann").expect(503);
  expect(response.body).toMatchObject({ reason: "STORE_UNAVAILABLE" });
  expect(response.body).not.toHaveProperty("violated-policies");
  expect(provider.calls).toEqual([]);
});
