import { once } from "node:events";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import {
  ConfigError,
  type AdmissionStore,
  type FlagSource,
  type Provider,
  type Usage,
} from "@sluice/contract";
import { createGuard, memoryAdmission, staticFlags, type BreakerOptions } from "@sluice/guard";
import {
  FakeClock,
  errorReply,
  fakeFlagSource,
  fakeProvider,
  sampleAnswer,
  sampleFeature,
  valueReply,
  type SampleJob,
} from "@sluice/testkit";
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from "express";
import request from "supertest";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import {
  admission,
  allowlist,
  budget,
  circuitBreaker,
  featureFlag,
  killSwitch,
  optIn,
  reportUsage,
  rollout,
  type CardOptions,
} from "./cards.ts";

type Handler = RequestHandler;

const answering = () =>
  fakeProvider<SampleJob>({ onCall: (call) => call.reply(valueReply(sampleAnswer)) });
const openFlags = () => staticFlags({ sample_ai: { enabled: true } });

function sampleGuard(
  more: {
    readonly provider?: Provider<SampleJob>;
    readonly flags?: FlagSource;
    readonly allowlist?: readonly string[];
    readonly budget?: {
      readonly callsPerRun?: number;
      readonly tokensPerRun?: number;
      readonly maxOutputTokens: number;
    };
    readonly clock?: FakeClock;
    readonly optIn?: (job: SampleJob) => boolean;
    readonly admission?: AdmissionStore;
    readonly breaker?: BreakerOptions;
  } = {},
) {
  const guard = createGuard({
    ...sampleFeature,
    flags: openFlags(),
    provider: answering(),
    breaker: { minCalls: 2, openMs: 20, successesToClose: 1 },
    sinks: [() => undefined],
    ...more,
  });
  onTestFinished(() => guard.close());
  return guard;
}

/** Once open, for longer than the slowest machine takes for a test. */
const staysOpen: BreakerOptions = { minCalls: 2, openMs: 60_000 };

type SampleGuard = ReturnType<typeof sampleGuard>;

const legacy: Handler = (_req, res) => void res.json({ from: "legacy" });
const handler: Handler = (_req, res) => void res.json({ from: "model" });
const run = (name: string) => ({ subject: "alice", run: name });
const job: SampleJob = { prompt: "hello" };

const options = (more: Partial<CardOptions<SampleJob>> = {}): CardOptions<SampleJob> => ({
  subject: () => "alice",
  safePath: legacy,
  run: () => "run-1",
  ...more,
});

const shown: ErrorRequestHandler = (error, _req, res, _next) => {
  res.status(500).json({ seen: error instanceof Error ? error.message : "?" });
};

const appOf = (...handlers: readonly Handler[]): Express =>
  express()
    .use(express.json())
    .post("/job", ...handlers)
    .use(shown);

const calls = (callsPerRun: number) => ({ callsPerRun, maxOutputTokens: 50 });

const reporting =
  (usage: Usage): Handler =>
  (_req, res) => {
    reportUsage(res, usage);
    res.json({ from: "model" });
  };

const broken: Handler = (_req, res) => void res.status(503).json({ from: "broken" });

const wrong: Handler = (_req, res) => void res.status(422).json({ from: "wrong" });

const chain = (guard: SampleGuard, last: Handler, more: Partial<CardOptions<SampleJob>> = {}) =>
  appOf(
    featureFlag(guard, options(more)),
    killSwitch(guard, options(more)),
    allowlist(guard, options(more)),
    budget(guard, options(more)),
    circuitBreaker(guard, options(more)),
    last,
  );

const fail = () => {
  throw new Error("who?");
};

const passOn: Handler = (_req, _res, next) => next("route");

/** Who answered. */
async function from(app: Express): Promise<unknown> {
  const response = await request(app).post("/job").send(job);
  return (response.body as { readonly from?: unknown }).from;
}

describe("featureFlag()", () => {
  it("passes while the feature is enabled", async () => {
    const flags = openFlags();
    const app = appOf(featureFlag(sampleGuard({ flags }), options()), handler);
    expect(await from(app)).toBe("model");
    flags.set("sample_ai", { enabled: false });
    expect(await from(app)).toBe("legacy");
    flags.set("sample_ai", { enabled: true });
    expect(await from(app)).toBe("model");
  });

  it("I9 does not pass on flags that can't be confirmed", async () => {
    const clock = new FakeClock();
    const flags = fakeFlagSource({ clock });
    const app = appOf(featureFlag(sampleGuard({ flags, clock }), options()), handler);
    expect(await from(app)).toBe("model");
    clock.advance(60_000);
    expect(await from(app)).toBe("legacy");
    flags.confirm();
    expect(await from(app)).toBe("model");
  });
});

describe("killSwitch()", () => {
  it("I1 passes while no kill is engaged, in the flags or in the process", async () => {
    const flags = openFlags();
    const guard = sampleGuard({ flags });
    const app = appOf(killSwitch(guard, options()), handler);
    expect(await from(app)).toBe("model");
    guard.kill();
    expect(await from(app)).toBe("legacy");
    guard.restore();
    expect(await from(app)).toBe("model");
    flags.set("sample_ai", { killed: true });
    expect(await from(app)).toBe("legacy");
  });
});

describe("allowlist()", () => {
  it("passes who is listed", async () => {
    const guard = sampleGuard({ allowlist: ["alice"] });
    const app = (subject: string) =>
      appOf(allowlist(guard, options({ subject: () => subject })), handler);
    expect(await from(app("alice"))).toBe("model");
    expect(await from(app("bob"))).toBe("legacy");
  });

  it("looks at the list of the flags too", async () => {
    const flags = staticFlags({ sample_ai: { enabled: true, allowlist: ["bob"] } });
    const app = appOf(allowlist(sampleGuard({ flags }), options()), handler);
    expect(await from(app)).toBe("legacy");
  });

  it("is given the attributes", async () => {
    const guard = createGuard({
      ...sampleFeature,
      flags: openFlags(),
      provider: answering(),
      allowlist: [{ board: "aqa" }],
      sinks: [() => undefined],
    });
    onTestFinished(() => guard.close());
    const app = (board: string) =>
      appOf(allowlist(guard, options({ attributes: () => ({ board }) })), handler);
    expect(await from(app("aqa"))).toBe("model");
    expect(await from(app("ocr"))).toBe("legacy");
  });
});

describe("budget()", () => {
  it("I3 passes while the run has calls left", async () => {
    const app = appOf(budget(sampleGuard({ budget: calls(2) }), options()), handler);
    expect([await from(app), await from(app), await from(app)]).toEqual([
      "model",
      "model",
      "legacy",
    ]);
  });

  it("spends of the same budget as the guard, either way", async () => {
    const guard = sampleGuard({ budget: calls(2) });
    const app = appOf(budget(guard, options()), handler);
    expect(await from(app)).toBe("model");
    expect(await guard.run(job, run("run-1"))).toMatchObject({ status: "SUCCEEDED" });
    expect(await from(app)).toBe("legacy");
    expect(await guard.run(job, run("run-1"))).toMatchObject({
      status: "STUBBED",
      reason: "BUDGET_CALLS",
    });
    expect(await guard.run(job, run("run-2"))).toMatchObject({ status: "SUCCEEDED" });
  });

  it("settles by the usage that the handler reports, and else keeps what it reserved", async () => {
    const guard = sampleGuard({ budget: { tokensPerRun: 1000, maxOutputTokens: 50 } });
    await from(appOf(budget(guard, options()), reporting({ inputTokens: 3, outputTokens: 4 })));
    await vi.waitFor(() =>
      expect(guard.budget.use("run-1")).toMatchObject({ tokens: 7, calls: 1 }),
    );
    await from(appOf(budget(guard, options()), handler));
    expect(guard.budget.use("run-1")).toMatchObject({ tokens: 57, calls: 2 });
  });

  it("takes no usage that can't be one", async () => {
    const guard = sampleGuard({ budget: { tokensPerRun: 1000, maxOutputTokens: 50 } });
    await from(appOf(budget(guard, options()), reporting({ inputTokens: -1000, outputTokens: 1 })));
    expect(guard.budget.use("run-1").tokens).toBe(50);
  });

  it("reserves while the handler works, so that no second request overspends", async () => {
    const guard = sampleGuard({ budget: calls(1) });
    const entered = Promise.withResolvers<void>();
    const open = Promise.withResolvers<void>();
    const slow: Handler = async (_req, res) => {
      entered.resolve();
      await open.promise;
      res.json({ from: "model" });
    };
    const app = appOf(budget(guard, options()), slow);
    const first = from(app);
    await entered.promise;
    expect(await from(app)).toBe("legacy");
    open.resolve();
    expect(await first).toBe("model");
  });

  it("refuses a guard without a budget, which would let everybody pass", () => {
    expect(() => budget(sampleGuard(), options())).toThrow(
      "budget: got a guard of sample_ai without this gate, expected createGuard.budget to be set",
    );
  });

  it("closes when it can't count the prompt", async () => {
    const provider = fakeProvider<SampleJob>({
      inputTokens: () => {
        throw new Error("count");
      },
    });
    const guard = sampleGuard({
      provider,
      budget: { tokensPerRun: 1000, maxOutputTokens: 50 },
    });
    expect(await from(appOf(budget(guard, options()), handler))).toBe("legacy");
  });
});

describe("rollout()", () => {
  it("passes who is inside the percentage", async () => {
    const flags = staticFlags({ sample_ai: { enabled: true, percent: 100 } });
    const guard = sampleGuard({ flags });
    const app = appOf(rollout(guard, options()), handler);
    expect(await from(app)).toBe("model");
    // sha256("sample_ai:alice") begins with adc085fb: bucket 79.
    flags.set("sample_ai", { percent: 80 });
    expect(await from(app)).toBe("model");
    flags.set("sample_ai", { percent: 79 });
    expect(await from(app)).toBe("legacy");
  });
});

describe("optIn()", () => {
  it("passes who opted in", async () => {
    const guard = sampleGuard({ optIn: ({ allowAI }) => allowAI === true });
    const app = appOf(optIn(guard, options()), handler);
    expect(await from(app)).toBe("legacy");
    const yes = await request(app)
      .post("/job")
      .send({ ...job, allowAI: true });
    expect(yes.body).toEqual({ from: "model" });
  });

  it("refuses a guard that asks nobody, which would let everybody pass", () => {
    const guard = sampleGuard();
    expect(() => optIn(guard, options())).toThrow(/expected createGuard\.optIn to be set/);
  });
});

describe("admission()", () => {
  it("rejects with 429 while there is no capacity, and has it again when the response has ended", async () => {
    const guard = sampleGuard({ admission: memoryAdmission({ userInFlight: { limit: 1 } }) });
    const app = appOf(admission(guard, options()), handler);
    const held = await guard.check("admission", job, run("held"));
    const full = await request(app).post("/job").send(job);
    expect(full.status).toBe(429);
    expect(full.headers).toMatchObject({
      "retry-after": "1",
      "ratelimit-policy": '"user-in-flight";q=1;qu="concurrent-requests"',
      ratelimit: '"user-in-flight";r=0',
    });
    expect(full.body).toMatchObject({ "violated-policies": ["user-in-flight"] });
    held.release({ how: "void" });
    expect(await from(app)).toBe("model");
    expect(await from(app)).toBe("model");
  });
});

describe("circuitBreaker()", () => {
  it("counts 5xx as the provider's failures, and opens for the guard too", async () => {
    const guard = sampleGuard({ breaker: staysOpen });
    const app = appOf(circuitBreaker(guard, options()), broken);
    expect([await from(app), await from(app)]).toEqual(["broken", "broken"]);
    await vi.waitFor(() => expect(guard.describe().providers[0]?.breaker).toBe("open"), {
      interval: 1,
    });
    expect(await from(app)).toBe("legacy");
    expect(await guard.run(job, run("run-1"))).toMatchObject({ reason: "CIRCUIT_OPEN" });
  });

  it("opens by failures of the guard's own calls", async () => {
    const provider = fakeProvider<SampleJob>({
      onCall: (call) => call.reply(errorReply("PROVIDER_UNAVAILABLE")),
    });
    const guard = sampleGuard({ provider, breaker: staysOpen });
    const app = appOf(circuitBreaker(guard, options()), handler);
    expect(await from(app)).toBe("model");
    await guard.run(job, run("a"));
    await guard.run(job, run("b"));
    expect(guard.describe().providers[0]?.breaker).toBe("open");
    expect(await from(app)).toBe("legacy");
  });

  it("counts no 4xx", async () => {
    const guard = sampleGuard();
    const app = appOf(circuitBreaker(guard, options()), wrong);
    for (let i = 0; i < 5; i += 1) expect(await from(app)).toBe("wrong");
    expect(guard.describe().providers[0]?.breaker).toBe("closed");
  });

  it("counts nothing for a client that goes away", async () => {
    const guard = sampleGuard();
    const closed = { count: 0 };
    const hanging: Handler = (_req, res) => {
      res.status(500);
      res.once("close", () => {
        closed.count += 1;
      });
      entered.resolve();
    };
    let entered = Promise.withResolvers<void>();
    const server = createServer(appOf(circuitBreaker(guard, options()), hanging));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    for (let i = 1; i <= 4; i += 1) {
      entered = Promise.withResolvers<void>();
      const sent = httpRequest({ port, host: "127.0.0.1", path: "/job", method: "POST" });
      sent.on("error", () => undefined);
      sent.end();
      await entered.promise;
      sent.destroy();
      await vi.waitFor(() => expect(closed.count).toBe(i), { interval: 1 });
    }
    expect(guard.describe().providers[0]?.breaker).toBe("closed");
  });

  it("lets one probe through when half-open, and closes when it is good", async () => {
    const guard = sampleGuard();
    const bad = appOf(circuitBreaker(guard, options()), broken);
    await from(bad);
    await from(bad);
    await vi.waitFor(() => expect(guard.describe().providers[0]?.breaker).toBe("half_open"), {
      interval: 1,
    });
    expect(await from(appOf(circuitBreaker(guard, options()), handler))).toBe("model");
    await vi.waitFor(() => expect(guard.describe().providers[0]?.breaker).toBe("closed"), {
      interval: 1,
    });
  });
});

describe("the five in a chain", () => {
  const caps = { callsPerRun: 3, maxOutputTokens: 50 };

  it("pass a request that every gate allows, once", async () => {
    const guard = sampleGuard({ budget: caps, allowlist: ["alice"] });
    expect(await from(chain(guard, handler))).toBe("model");
    expect(guard.budget.use("run-1").calls).toBe(1);
  });

  it.each<[gate: string, shut: (guard: SampleGuard) => void, who?: string]>([
    ["a kill", (guard) => guard.kill()],
    ["the allowlist", () => undefined, "bob"],
    [
      "the budget",
      (guard) => guard.budget.restore("run-1", { calls: 3, tokens: 0, costNanoUsd: 0 }),
    ],
  ])("divert to the legacy handler for %s", async (_, shut, who = "alice") => {
    const guard = sampleGuard({ budget: caps, allowlist: ["alice"] });
    shut(guard);
    const before = guard.budget.use("run-1");
    expect(await from(chain(guard, handler, { subject: () => who }))).toBe("legacy");
    expect(guard.budget.use("run-1")).toEqual(before);
  });

  it("charge nothing where a later gate diverts", async () => {
    const guard = sampleGuard({ budget: caps, allowlist: ["alice"], breaker: staysOpen });
    const failing = appOf(
      circuitBreaker(guard, options()),
      (_req, res) => void res.status(500).end(),
    );
    await from(failing);
    await from(failing);
    await vi.waitFor(() => expect(guard.describe().providers[0]?.breaker).toBe("open"), {
      interval: 1,
    });
    const app = chain(guard, handler);
    for (let i = 0; i < 5; i += 1) expect(await from(app)).toBe("legacy");
    expect(guard.budget.use("run-1").calls).toBe(0);
  });

  it("count no probe where a later gate diverts", async () => {
    const guard = sampleGuard({ budget: { callsPerRun: 0, maxOutputTokens: 50 } });
    const failing = appOf(
      circuitBreaker(guard, options()),
      (_req, res) => void res.status(500).end(),
    );
    await from(failing);
    await from(failing);
    await vi.waitFor(() => expect(guard.describe().providers[0]?.breaker).toBe("half_open"), {
      interval: 1,
    });
    // The other way round: the permit is taken before the budget says no.
    const app = appOf(circuitBreaker(guard, options()), budget(guard, options()), handler);
    expect(await from(app)).toBe("legacy");
    expect(guard.describe().providers[0]?.breaker).toBe("half_open");
    // And the permit was given back: the next probe passes.
    expect(await from(appOf(circuitBreaker(guard, options()), handler))).toBe("model");
  });

  it("let through as many of ten at once as the budget has calls", async () => {
    const guard = sampleGuard({ budget: caps });
    const app = chain(guard, handler);
    const answers = await Promise.all(Array.from({ length: 10 }, () => from(app)));
    expect(answers.filter((answer) => answer === "model")).toHaveLength(3);
    expect(guard.budget.use("run-1").calls).toBe(3);
  });

  it("ask nobody and take nothing for a client that is gone already", async () => {
    const guard = sampleGuard({ budget: caps });
    const passed = vi.fn<Handler>();
    const arrived = Promise.withResolvers<void>();
    const left = Promise.withResolvers<void>();
    const slow: Handler = (_req, res, next) => {
      res.once("close", () => {
        next();
        left.resolve();
      });
      arrived.resolve();
    };
    const server = createServer(
      appOf(slow, budget(guard, options()), circuitBreaker(guard, options()), passed),
    );
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const sent = httpRequest({ port, host: "127.0.0.1", path: "/job", method: "POST" });
    sent.on("error", () => undefined);
    sent.end();
    await arrived.promise;
    sent.destroy();
    await left.promise;
    await vi.waitFor(() => expect(guard.budget.use("run-1").calls).toBe(0), { interval: 1 });
    expect(passed).not.toHaveBeenCalled();
  });
});

describe("what a card is given", () => {
  it.each([featureFlag, killSwitch, allowlist, budget, circuitBreaker])(
    "passes errors of the application on to Express",
    async (card) => {
      const guard = sampleGuard({
        flags: staticFlags({ sample_ai: { enabled: false } }),
        budget: calls(1),
      });
      const unknown = appOf(card(guard, options({ subject: fail })), handler);
      const response = await request(unknown).post("/job").send(job).expect(500);
      expect(response.body).toEqual({ seen: "who?" });
    },
  );

  it.each<[how: string, safePath: Handler]>([
    [
      "throws",
      () => {
        throw new Error("legacy down");
      },
    ],
    ["rejects", () => Promise.reject(new Error("legacy down"))],
    ["passes an error on", (_req, _res, next) => next(new Error("legacy down"))],
  ])("passes a safe path that %s on to Express", async (_, safePath) => {
    const guard = sampleGuard();
    guard.kill();
    const app = appOf(killSwitch(guard, options({ safePath })), handler);
    const response = await request(app).post("/job").send(job).expect(500);
    expect(response.body).toEqual({ seen: "legacy down" });
  });

  it("leaves the safe path free to pass on: the handler after it is then its own business", async () => {
    const guard = sampleGuard();
    guard.kill();
    const app = express()
      .use(express.json())
      .post("/job", killSwitch(guard, options({ safePath: passOn })), handler)
      .post("/job", legacy);
    expect(await from(app)).toBe("legacy");
  });

  it("takes the input from where the application says", async () => {
    const inputTokens = vi.fn<(input: SampleJob) => number>(() => 1);
    const guard = sampleGuard({
      provider: fakeProvider({ inputTokens }),
      budget: { tokensPerRun: 1000, maxOutputTokens: 50 },
    });
    await from(appOf(budget(guard, options({ input: () => ({ prompt: "mine" }) })), handler));
    await from(appOf(budget(guard, options()), handler));
    expect(inputTokens.mock.calls.map(([input]) => input.prompt)).toEqual(["mine", "hello"]);
  });

  it.each([
    ["featureFlag", featureFlag, { subject: "alice" }, "feature-flag.subject"],
    ["killSwitch", killSwitch, { safePath: undefined }, "kill-switch.safePath"],
    ["allowlist", allowlist, { attributes: {} }, "allowlist.attributes"],
    ["budget", budget, { run: "r" }, "budget.run"],
    ["circuitBreaker", circuitBreaker, { retries: 1 }, "circuit-breaker.retries"],
  ])("%s refuses a wrong option in one line", (_, card, faulty, option) => {
    const make = () => card(sampleGuard(), options(faulty as never));
    expect(make).toThrow(ConfigError);
    expect(make).toThrow(`${option}: got `);
  });
});
