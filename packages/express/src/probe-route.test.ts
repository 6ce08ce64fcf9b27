import { ConfigError } from "@sluice/contract";
import { createGuard, staticFlags, type StaticFeature } from "@sluice/guard";
import {
  FakeClock,
  fakeProvider,
  recordingSink,
  sampleAnswer,
  sampleFeature,
  valueReply,
  type SampleJob,
} from "@sluice/testkit";
import express, { type RequestHandler } from "express";
import request from "supertest";
import { describe, expect, it } from "vitest";
import { probeRoute, type ProbeRouteOptions } from "./probe-route.ts";

const token = "sixteen-letters!";
/** In no answer. */
const sentinel = "sentinel-7d1f";

function setUp(
  more: {
    readonly flags?: StaticFeature;
    readonly route?: Partial<ProbeRouteOptions<SampleJob>>;
    readonly before?: readonly RequestHandler[];
    readonly optIn?: (input: SampleJob) => boolean;
  } = {},
) {
  const provider = fakeProvider<SampleJob>({
    onCall: (call) => call.reply(valueReply({ ...sampleAnswer, text: sentinel })),
  });
  const recorded = recordingSink();
  const guard = createGuard({
    ...sampleFeature,
    flags: staticFlags({ sample_ai: { enabled: true, percent: 50, salt: "s", ...more.flags } }),
    provider,
    clock: new FakeClock(),
    sinks: [recorded.sink],
    ...(more.optIn !== undefined && { optIn: more.optIn }),
  });
  const app = express();
  for (const handler of more.before ?? []) app.use(handler);
  app.post("/probe", probeRoute(guard, { token, ...more.route }));
  const ask = (body: unknown, authorization: string | undefined = `Bearer ${token}`) => {
    const posted = request(app).post("/probe");
    if (authorization !== "") posted.set("authorization", authorization);
    return posted.send(body as object);
  };
  return { app, ask, guard, provider, recorded };
}

const sample = (subject: string) => ({ input: { prompt: `${sentinel} ${subject}` } });

describe("the probe route", () => {
  it("answers what the guard's gates say of each subject, in their order", async () => {
    const { ask, guard, provider, recorded } = setUp({ route: { instanceId: "web-1" } });
    const subjects = ["a", "b", "甲", "🦀", "é", "e\u0301", "", "\ud800", "a\0b", "a"];
    const response = await ask({ subjects }).expect(200);
    expect(response.body).toEqual({
      feature: "sample_ai",
      instance: "web-1",
      flagVersion: null,
      percent: 50,
      closed: false,
      without: [],
      runs: false,
      results: subjects.map((subject) => {
        const { effect, gate, reason } = guard.probe(subject);
        return { effect, ...(gate && { gate }), ...(reason && { reason }) };
      }),
    });
    const effects = (response.body as { results: { effect: string }[] }).results.map(
      ({ effect }) => effect,
    );
    expect(new Set(effects)).toEqual(new Set(["allow", "divert"]));
    expect(response.headers["cache-control"]).toBe("no-store");
    guard.flush();
    expect(recorded.events).toEqual([]);
    expect(provider.calls).toEqual([]);
  });

  it("is 401 and reads nothing without the token, however near a guess is", async () => {
    const { ask } = setUp();
    const guesses = ["", "Bearer", "Bearer ", `Basic ${token}`, token, `Bearer ${token}x`];
    const answers = [];
    for (const guess of [...guesses, `Bearer ${token.slice(0, -1)}`]) {
      const { status, headers, text } = await ask({ subjects: 7 }, guess);
      answers.push({ status, text, asks: headers["www-authenticate"] });
      expect(headers["cache-control"]).toBe("no-store");
    }
    const [first] = answers;
    expect(first).toEqual({
      status: 401,
      text: '{"type":"about:blank","title":"The token is missing or wrong","status":401}',
      asks: "Bearer",
    });
    expect(answers).toEqual(answers.map(() => first));
    await ask({ subjects: ["a"] }, `bearer  ${token}`).expect(200);
  });

  it("takes the body that an earlier parser read", async () => {
    const { ask } = setUp({ before: [express.json()] });
    const { status } = await ask({ subjects: ["a"] });
    expect(status).toBe(200);
  });

  it("answers bad input with problem details that quote none of it", async () => {
    const { app, ask } = setUp({ route: { sample } });
    const bad: unknown[] = [
      {},
      [],
      { subjects: [] },
      { subjects: sentinel },
      { subjects: [1] },
      { subjects: Array.from({ length: 1001 }, () => sentinel) },
      { subjects: ["a"], run: "yes" },
      { subjects: ["a"], [sentinel]: 1 },
      { subjects: Array.from({ length: 101 }, () => "a"), run: true },
    ];
    for (const body of bad) {
      const response = await ask(body).expect(400);
      expect(response.headers["content-type"]).toMatch(/^application\/problem\+json/);
      expect(response.text).not.toContain(sentinel);
    }
    const raw = (type: string, body: string) =>
      request(app)
        .post("/probe")
        .set("authorization", `Bearer ${token}`)
        .set("content-type", type)
        .send(body);
    await raw("application/json", "{").expect(400);
    await raw("text/plain", "x").expect(415);
    await raw("application/json", JSON.stringify({ subjects: ["x".repeat(9e6)] })).expect(413);
    await ask({ subjects: Array.from({ length: 1000 }, () => "\u0001".repeat(1024)) }).expect(200);
  });

  it("runs the guard once for each subject, and tells path and codes but no value", async () => {
    const { ask, guard, provider } = setUp({
      flags: { percent: 100 },
      route: { sample },
      optIn: ({ prompt }) => prompt.endsWith("in"),
    });
    const ran = await ask({ subjects: ["in", "out", ""], run: true }).expect(200);
    expect(ran.body).toMatchObject({
      runs: true,
      without: ["input"],
      results: [
        { path: "ai", status: "SUCCEEDED" },
        { path: "stub", status: "STUBBED", reason: "NOT_OPTED_IN" },
        { path: "stub", status: "STUBBED", reason: "NOT_IN_ROLLOUT" },
      ],
    });
    expect(ran.text).not.toContain(sentinel);
    expect(provider.calls.map(({ asked }) => asked.input.prompt)).toEqual([`${sentinel} in`]);
    guard.kill();
    const killed = await ask({ subjects: ["in"], run: true }).expect(200);
    expect(killed.body).toMatchObject({
      closed: true,
      results: [{ path: "stub", status: "STUBBED", reason: "KILLED" }],
    });
    expect(provider.calls).toHaveLength(1);
  });

  it("tells the code of a run that failed", async () => {
    const guard = createGuard({
      ...sampleFeature,
      flags: staticFlags({ sample_ai: { enabled: true } }),
      provider: fakeProvider<SampleJob>({ onCall: (call) => call.reply(valueReply(sentinel)) }),
      sinks: [() => undefined],
    });
    const app = express().post("/probe", probeRoute(guard, { token, sample }));
    const failed = await request(app)
      .post("/probe")
      .set("authorization", `Bearer ${token}`)
      .send({ subjects: ["a"], run: true })
      .expect(200);
    expect(failed.body).toMatchObject({
      results: [{ path: "ai", status: "FAILED", code: "OUTPUT_SCHEMA_INVALID" }],
    });
  });

  it("runs nothing where the application gave no sample", async () => {
    const { ask, provider } = setUp();
    await ask({ subjects: ["a"], run: true }).expect(400);
    expect(provider.calls).toEqual([]);
  });

  it("refuses a token that can be guessed, and options that are none", () => {
    const { guard } = setUp();
    for (const options of [
      { token: "fifteen-letters" },
      { token: "" },
      {},
      { token, sample: 1 },
      { token, instanceId: "" },
      { token, other: 1 },
    ]) {
      expect(() => probeRoute(guard, options as never)).toThrow(ConfigError);
    }
    expect(() => probeRoute(guard, { token: sentinel })).toThrow(/^probeRoute.token/);
    expect(() => probeRoute(guard, { token: sentinel })).not.toThrow(sentinel);
  });
});
