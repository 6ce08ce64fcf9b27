import type { SluiceEvent } from "@sluice/contract";
import {
  createGuard,
  memoryAdmission,
  staticFlags,
  type MemoryAdmissionOptions,
} from "@sluice/guard";
import {
  FakeClock,
  errorReply,
  fakeProvider,
  sampleAnswer,
  sampleFeature,
  valueReply,
  type FakeCall,
  type SampleJob,
} from "@sluice/testkit";
import express, { type Express } from "express";
import request from "supertest";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { guardRoute, type GuardRouteOptions } from "./guard-route.ts";

const answer = (call: FakeCall<SampleJob>): void => call.reply(valueReply(sampleAnswer));

type Shown = Pick<
  GuardRouteOptions<SampleJob, unknown, unknown, unknown>,
  "headers" | "rateLimitHeaders"
>;

/** A route that streams where it is asked to, on a clock that stands still. */
function served(limits: MemoryAdmissionOptions, shown: Shown = {}, onCall = answer) {
  const clock = new FakeClock();
  const events: SluiceEvent[] = [];
  const guard = createGuard({
    ...sampleFeature,
    flags: staticFlags({ sample_ai: { enabled: true } }),
    provider: fakeProvider<SampleJob>({ onCall, inputTokens: () => 10 }),
    admission: memoryAdmission({ ...limits, clock }),
    budget: { callsPerRun: 100, maxOutputTokens: 100 },
    sinks: [(event) => void events.push(event)],
    clock,
  });
  const input = z.strictObject({ prompt: z.string() });
  const route = guardRoute(guard, { subject: () => "alice", input, stream: true, ...shown });
  return { app: express().post("/job", route), guard, events };
}

const post = (app: Express, accept = "application/json") =>
  request(app).post("/job").set("accept", accept).send({ prompt: "hello" });

/** The headers that tell of limits. */
async function told(app: Express, accept?: string): Promise<readonly unknown[]> {
  const { headers, status } = await post(app, accept);
  const byName = headers as Readonly<Record<string, string>>;
  return [status, byName["retry-after"], byName["ratelimit-policy"], byName["ratelimit"]];
}

const both = ["application/json", "text/event-stream"] as const;
const place = '"user-in-flight";q=2;qu="concurrent-requests"';
const limits: MemoryAdmissionOptions = {
  userInFlight: { limit: 2 },
  globalInFlight: { limit: 9 },
  messageRate: { count: 2, perMs: 60_000 },
};

describe.each(both)("the headers of limits, for %s", (accept) => {
  it("tell an admitted request of its subject's own", async () => {
    const { app } = served(limits);
    expect(await told(app, accept)).toEqual([200, undefined, place, '"user-in-flight";r=1']);
  });

  it("tell of all where that is asked for", async () => {
    const { app } = served(limits, { rateLimitHeaders: "all" });
    const policies = `${place}, "global-in-flight";q=9;qu="concurrent-requests", "message-rate";q=2`;
    const inFlight = '"user-in-flight";r=1, "global-in-flight";r=8';
    expect(await told(app, accept)).toEqual([
      200,
      undefined,
      policies,
      `${inFlight}, "message-rate";r=1;t=30`,
    ]);
    await told(app, accept);
    // A minute until all of it is back, and half of one until the next is let through.
    expect(await told(app, accept)).toEqual([
      429,
      "30",
      policies,
      '"user-in-flight";r=2, "global-in-flight";r=9, "message-rate";r=0;t=30',
    ]);
  });

  it.each<[how: string, shown: Shown]>([
    ["off", { rateLimitHeaders: "off" }],
    ["turned off with all others", { headers: false, rateLimitHeaders: "all" }],
  ])("tell nothing where they are %s, but when to come back", async (_, shown) => {
    const { app } = served(limits, shown);
    const silent = [200, undefined, undefined, undefined];
    expect([await told(app, accept), await told(app, accept)]).toEqual([silent, silent]);
    expect(await told(app, accept)).toEqual([429, "30", undefined, undefined]);
  });

  it("tell a failed request too", async () => {
    const { app } = served(limits, {}, (call) => call.reply(errorReply("INTERNAL")));
    expect(await told(app, accept)).toEqual([502, undefined, place, '"user-in-flight";r=1']);
  });

  it("tell when a spent budget is whole again", async () => {
    const { app } = served({ userBudget: { calls: 1 } });
    const day = '"user-budget";q=1;w=86400';
    // The fake clock's day began when the test did, or not long before.
    const [, , policy, limit] = await told(app, accept);
    const t = /^"user-budget";r=0;t=(\d+)$/.exec(String(limit))?.[1];
    expect(policy).toBe(day);
    expect(Number(t)).toBeGreaterThan(0);
    expect(Number(t)).toBeLessThanOrEqual(86_400);
    expect(await told(app, accept)).toEqual([429, t, day, `"user-budget";r=0;t=${t}`]);
    const response = await post(app, accept);
    expect(response.body).toMatchObject({
      type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
      reason: "BUDGET_CALLS",
      "violated-policies": ["user-budget"],
    });
  });
});

it("a limit in shadow is told to nobody", async () => {
  const { app } = served({ userInFlight: { limit: 1, mode: "shadow" } });
  expect(await told(app)).toEqual([200, undefined, undefined, undefined]);
});

it("a budget of tokens has no unit that a header could name, but is named when it is spent", async () => {
  const { app } = served({ userBudget: { tokens: 10 } });
  const response = await post(app).expect(429);
  expect(response.body).toMatchObject({ "violated-policies": ["user-budget"] });
  expect(response.headers).not.toHaveProperty("ratelimit");
});

it("no event tells what was counted", async () => {
  const { app, guard, events } = served(limits);
  await told(app);
  guard.flush();
  expect(events.map(({ event }) => event)).toEqual(["decision", "outcome"]);
  expect(JSON.stringify(events)).not.toMatch(/in_flight|remaining/);
});
