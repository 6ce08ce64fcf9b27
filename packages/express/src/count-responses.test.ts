import { once } from "node:events";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import type { MetricSample } from "@sluice/contract";
import { createGuard, memoryAdmission, staticFlags } from "@sluice/guard";
import {
  errorReply,
  FakeClock,
  fakeProvider,
  sampleAnswer,
  sampleFeature,
  valueReply,
  type FakeCall,
  type SampleJob,
} from "@sluice/testkit";
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from "express";
import request from "supertest";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { z } from "zod";
import { budget } from "./cards.ts";
import { countResponses } from "./count-responses.ts";
import { guardRoute } from "./guard-route.ts";

const answering = (call: FakeCall<SampleJob>): void => call.reply(valueReply(sampleAnswer));

const shown: ErrorRequestHandler = (_error, _req, res, _next) => void res.status(500).end();
const unauthorized: RequestHandler = (_req, res) => void res.status(401).end();
const begun: RequestHandler = (_req, res) => void res.status(202).write("some of it");

interface Setting {
  readonly onCall?: (call: FakeCall<SampleJob>) => void;
  readonly enabled?: boolean;
  readonly onFailure?: "failed" | "stub";
  /** Mounted before guardRoute, after what counts. */
  readonly before?: readonly RequestHandler[];
  /** How often `countResponses` is mounted. */
  readonly counts?: number;
  readonly subject?: () => string;
  readonly metrics?: (sample: MetricSample) => unknown;
  readonly withoutMetrics?: true;
}

function appWith(setting: Setting = {}) {
  const samples: MetricSample[] = [];
  const clock = new FakeClock();
  const provider = fakeProvider<SampleJob>({
    name: "openai",
    onCall: setting.onCall ?? answering,
  });
  const flags = staticFlags({ sample_ai: { enabled: setting.enabled ?? true } });
  const guard = createGuard({
    ...sampleFeature,
    flags,
    provider,
    clock,
    onFailure: setting.onFailure ?? "failed",
    budget: { callsPerRun: 100, maxOutputTokens: 10 },
    admission: memoryAdmission({ messageRate: { count: 2, perMs: 1000 }, clock }),
    sinks: [() => undefined],
    ...(setting.withoutMetrics === true
      ? {}
      : { metrics: setting.metrics ?? ((sample: MetricSample) => samples.push(sample)) }),
  });
  const app = express();
  for (let i = 0; i < (setting.counts ?? 1); i += 1) app.use("/job", countResponses(guard));
  for (const handler of setting.before ?? []) app.use("/job", handler);
  app.post(
    "/job",
    guardRoute(guard, {
      subject: setting.subject ?? (() => "alice"),
      input: z.strictObject({ prompt: z.string() }),
      stream: true,
    }),
  );
  app.use(shown);
  onTestFinished(() => guard.close());
  const responses = (): readonly unknown[] => {
    guard.flush();
    return samples
      .filter((sample) => sample.kind === "response")
      .map(({ arm, provider: called, status }) => [status, arm, called]);
  };
  /** What was told of responses, once as much has come. */
  const told = async (count = 1): Promise<readonly unknown[]> => {
    await vi.waitFor(() => expect(responses().length).toBeGreaterThanOrEqual(count), {
      interval: 1,
    });
    return responses();
  };
  return { app, guard, flags, provider, samples, told };
}

const post = (app: Express, body: object = { prompt: "p" }) => request(app).post("/job").send(body);

describe.each([
  ["with countResponses", 1],
  ["with countResponses twice", 2],
  ["with guardRoute alone", 0],
])("a response counts exactly once %s", (_, counts) => {
  it.each<[string, Setting, object, number, readonly unknown[]]>([
    ["that succeeded", {}, { prompt: "p" }, 200, [200, "ai", "openai"]],
    [
      "that failed",
      { onCall: (call) => call.reply(errorReply("PROVIDER_BAD_REQUEST")) },
      { prompt: "p" },
      502,
      [502, "ai", "openai"],
    ],
    [
      "that failed, and that the safe path answered",
      { onCall: (call) => call.reply(errorReply("PROVIDER_BAD_REQUEST")), onFailure: "stub" },
      { prompt: "p" },
      200,
      [200, "ai", "openai"],
    ],
    ["with a problem of its input", {}, { wrong: true }, 400, [400, "none", undefined]],
    [
      "whose subject could not be told",
      {
        subject: () => {
          throw new Error("defect");
        },
      },
      { prompt: "p" },
      500,
      [500, "none", undefined],
    ],
  ])("%s", async (__, setting, body, status, expected) => {
    const { app, told } = appWith({ ...setting, counts });
    await post(app, body).expect(status);
    // Another one after it: had the first counted twice, it would show.
    await post(app, {}).expect(400);
    expect(await told(2)).toEqual([expected, [400, "none", undefined]]);
  });

  it("that was rejected", async () => {
    const { app, told } = appWith({ counts });
    for (const status of [200, 200, 429]) await post(app).expect(status);
    expect((await told(3)).at(-1)).toEqual([429, "none", undefined]);
  });

  it("that streamed", async () => {
    const { app, told } = appWith({ counts });
    await post(app).set("accept", "text/event-stream").expect(200);
    await post(app, {}).expect(400);
    expect(await told(2)).toEqual([
      [200, "ai", "openai"],
      [400, "none", undefined],
    ]);
  });
});

describe("countResponses before authentication", () => {
  it("counts who was refused there, in no arm", async () => {
    const { app, provider, told } = appWith({ before: [unauthorized] });
    await post(app).expect(401);
    expect(await told()).toEqual([[401, "none", undefined]]);
    expect(provider.calls).toEqual([]);
  });

  it("counts what no handler took", async () => {
    const { app, told } = appWith();
    await request(app).get("/job").expect(404);
    expect(await told()).toEqual([[404, "none", undefined]]);
  });

  it("counts for each guard on its own", async () => {
    const other = appWith();
    const { app, told } = appWith({ before: [countResponses(other.guard)] });
    await post(app).expect(200);
    expect(await told()).toEqual([[200, "ai", "openai"]]);
    expect(await other.told()).toEqual([[200, "none", undefined]]);
  });

  it("works before the cards too, which make no decision: in no arm", async () => {
    const { guard, told } = appWith();
    const app = express();
    app.use(
      countResponses(guard),
      budget(guard, { subject: () => "alice", safePath: (_req, res) => void res.json("legacy") }),
      (_req, res) => void res.json("model"),
    );
    await request(app).get("/").expect(200, '"model"');
    expect(await told()).toEqual([[200, "none", undefined]]);
  });

  it("counts nothing of a feature that is closed", async () => {
    const { app, flags, told } = appWith({ enabled: false, before: [] });
    await post(app).expect(200);
    await post(app, { wrong: true }).expect(400);
    flags.set("sample_ai", { enabled: true });
    await post(app).expect(200);
    expect(await told()).toEqual([[200, "ai", "openai"]]);
  });
});

async function leaving(setting: Setting, accept: string) {
  const called = Promise.withResolvers<FakeCall<SampleJob>>();
  const { app, samples, told } = appWith({ onCall: (call) => called.resolve(call), ...setting });
  const server = createServer(app);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const sent = httpRequest({
    port: (server.address() as AddressInfo).port,
    path: "/job",
    method: "POST",
    headers: { "content-type": "application/json", accept },
  });
  sent.on("error", () => undefined);
  sent.end('{"prompt":"p"}');
  return { sent, called: called.promise, samples, told };
}

describe("a client that leaves", () => {
  it.each(["application/json", "text/event-stream"])(
    "before any status was sent counts as 499, in the arm of its decision: %s",
    async (accept) => {
      const { sent, called, samples, told } = await leaving({}, accept);
      await called;
      sent.destroy();
      expect(await told()).toEqual([[499, "ai", "openai"]]);
      expect(samples.filter(({ kind }) => kind === "outcome")).toMatchObject([
        { outcome: "FAILED", code: "CLIENT_ABORTED" },
      ]);
    },
  );

  it("after that counts with the status that it was sent", async () => {
    const { sent, told } = await leaving({ before: [begun] }, "text/plain");
    await once(sent, "response");
    sent.destroy();
    expect(await told()).toEqual([[202, "none", undefined]]);
  });

  it.each([0, 1])("while it was authenticated counts as 499, once: %i", async (counts) => {
    const arrived = Promise.withResolvers<void>();
    const left = Promise.withResolvers<void>();
    const slow: RequestHandler = (_req, res, next) => {
      res.once("close", () => {
        next();
        left.resolve();
      });
      arrived.resolve();
    };
    const { sent, told } = await leaving({ before: [slow], counts }, "application/json");
    await arrived.promise;
    sent.destroy();
    await left.promise;
    expect(await told()).toEqual([[499, "none", undefined]]);
  });
});

describe("I8 a sink of metrics", () => {
  const { promise: never } = Promise.withResolvers<void>();
  it.each<[string, () => unknown]>([
    [
      "throws",
      () => {
        throw new Error("defect");
      },
    ],
    ["rejects", () => Promise.reject(new Error("defect"))],
    ["never settles", () => never],
  ])("I8 that %s changes no response", async (_, metrics) => {
    const { app, guard } = appWith({ metrics });
    const response = await post(app).expect(200);
    expect(response.body).toEqual(sampleAnswer);
    guard.flush();
  });

  it("that is not there changes none either", async () => {
    const { app, samples } = appWith({ withoutMetrics: true });
    await post(app).expect(200);
    expect(samples).toEqual([]);
  });
});
