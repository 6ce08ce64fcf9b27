import { gzipSync } from "node:zlib";
import {
  ConfigError,
  FailureCode,
  failureCodes,
  type AdmissionStore,
  type FlagSource,
  type Provider,
} from "@sluice/contract";
import { createGuard, memoryAdmission, staticFlags, type Outcome } from "@sluice/guard";
import {
  FakeClock,
  errorReply,
  fakeAdmissionStore,
  fakeProvider,
  sampleAnswer,
  sampleFeature,
  sampleStub,
  valueReply,
  type SampleJob,
} from "@sluice/testkit";
import express, {
  type ErrorRequestHandler,
  type Express,
  type RequestHandler,
  type Response,
} from "express";
import request from "supertest";
import { describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { guardRoute, type GuardRouteOptions } from "./guard-route.ts";

const answering = () =>
  fakeProvider<SampleJob>({ onCall: (call) => call.reply(valueReply(sampleAnswer)) });
const failing = (code: FailureCode) =>
  fakeProvider<SampleJob>({ onCall: (call) => call.reply(errorReply(code)) });
const openFlags = () => staticFlags({ sample_ai: { enabled: true } });

function sampleGuard(
  more: {
    readonly provider?: Provider<SampleJob>;
    readonly flags?: FlagSource;
    readonly admission?: AdmissionStore;
    readonly onFailure?: "failed" | "stub";
    readonly clock?: FakeClock;
  } = {},
) {
  return createGuard({
    ...sampleFeature,
    flags: openFlags(),
    provider: answering(),
    sinks: [() => undefined],
    ...more,
  });
}

type SampleGuard = ReturnType<typeof sampleGuard>;
type SampleOutcome = Awaited<ReturnType<SampleGuard["run"]>>;
type RouteOptions = SampleGuard extends {
  run(input: SampleJob, request: never): Promise<Outcome<infer Ok, infer Failed, infer Stub>>;
}
  ? GuardRouteOptions<SampleJob, Ok, Failed, Stub>
  : never;

/** Stands for whatever a client may send; no answer may hold it. */
const sentinel = "sentinel-51c0";

const jobSchema: z.ZodType<SampleJob> = z.strictObject({
  prompt: z.string().min(1),
  allowAI: z.boolean().exactOptional(),
});

const ping: RequestHandler = (_req, res) => void res.json({ alive: true });
const shown: ErrorRequestHandler = (error, _req, res: Response, _next) => {
  res.status(500).json({ seen: error instanceof Error ? error.message : "?" });
};

function appOf(
  guard: SampleGuard,
  options: Partial<RouteOptions> = {},
  before: readonly RequestHandler[] = [],
): Express {
  const app = express();
  for (const handler of before) app.use(handler);
  app.all("/job", guardRoute(guard, { subject: () => "alice", input: jobSchema, ...options }));
  app.get("/ping", ping);
  app.use(shown);
  return app;
}

const post = (app: Express, body: unknown = { prompt: "hello" }) =>
  request(app)
    .post("/job")
    .send(body as object);
const postRaw = (app: Express, type: string, body: string) =>
  request(app).post("/job").set("content-type", type).send(body);

const ownHeaders = (headers: object) =>
  Object.keys(headers).filter((name) => name.startsWith("sluice"));

describe("an outcome", () => {
  it("that succeeded is 200 with the contract's value, its path and its decision", async () => {
    const response = await post(appOf(sampleGuard())).expect(200);
    expect(response.body).toEqual(sampleAnswer);
    expect(response.headers["content-type"]).toBe("application/json; charset=utf-8");
    expect(response.headers["sluice-path"]).toBe("ai");
    expect(response.headers["sluice-decision"]).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("that was diverted is 200 with the safe path's value", async () => {
    const provider = answering();
    const flags = staticFlags({ sample_ai: { enabled: false } });
    const response = await post(appOf(sampleGuard({ provider, flags }))).expect(200);
    expect(response.body).toEqual(sampleStub);
    expect(response.headers["sluice-path"]).toBe("stub");
    expect(provider.calls).toHaveLength(0);
  });

  const timeouts: readonly FailureCode[] = ["PROVIDER_TIMEOUT", "STREAM_STALLED"];
  it.each(failureCodes.map((code) => [code, timeouts.includes(code) ? 504 : 502] as const))(
    "that failed with %s is %i with the FAILED value, or 200 with the safe path's",
    async (code, status) => {
      const failed = await post(appOf(sampleGuard({ provider: failing(code) }))).expect(status);
      expect(failed.body).toEqual({ status: "FAILED", code });
      expect(failed.headers["content-type"]).toBe("application/json; charset=utf-8");
      expect(failed.headers["sluice-path"]).toBe("ai");
      if (code === FailureCode.CLIENT_ABORTED) return;
      const guard = sampleGuard({ provider: failing(code), onFailure: "stub" });
      const stubbed = await post(appOf(guard)).expect(200);
      expect(stubbed.body).toEqual(sampleStub);
      expect(stubbed.headers["sluice-path"]).toBe("stub");
    },
  );

  it("that took too long is 504", async () => {
    const clock = new FakeClock();
    const provider = fakeProvider<SampleJob>({ onCall: () => clock.advance(30_000) });
    const response = await post(appOf(sampleGuard({ provider, clock }))).expect(504);
    expect(response.body).toEqual({ status: "FAILED", code: "PROVIDER_TIMEOUT" });
  });

  it("that was killed in flight is 200 with the safe path's value", async () => {
    const provider = fakeProvider<SampleJob>({ onCall: () => guard.kill() });
    const guard: SampleGuard = sampleGuard({ provider });
    const response = await post(appOf(guard)).expect(200);
    expect(response.body).toEqual(sampleStub);
    expect(response.headers["sluice-path"]).toBe("stub");
    expect(provider.last().asked.signal.aborted).toBe(true);
  });

  it.each([1, 999, 1000, 61_500])(
    "that was rejected for its rate is 429 with whole seconds to wait, for a rate of one in %i ms",
    async (perMs) => {
      const clock = new FakeClock();
      const admission = memoryAdmission({ clock, messageRate: { count: 1, perMs } });
      const app = appOf(sampleGuard({ admission, clock }));
      await post(app).expect(200);
      const response = await post(app).expect(429);
      const seconds = Math.ceil(perMs / 1000);
      expect(response.headers["retry-after"]).toBe(String(seconds));
      // All subjects share it.
      expect(response.headers["ratelimit"]).toBeUndefined();
      expect(response.headers["content-type"]).toBe("application/problem+json; charset=utf-8");
      expect(response.body).toMatchObject({
        type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
        status: 429,
        reason: "MESSAGE_RATE",
        "violated-policies": ["message-rate"],
      });
      expect(ownHeaders(response.headers)).toEqual(["sluice-decision"]);
    },
  );

  it("that was rejected because a store can't tell is 503", async () => {
    const admission = fakeAdmissionStore({ limit: 1, onAcquire: (asked) => asked.unavailable() });
    const response = await post(appOf(sampleGuard({ admission }))).expect(503);
    expect(Number(response.headers["retry-after"])).toBeGreaterThanOrEqual(1);
    expect(response.headers["content-type"]).toBe("application/problem+json; charset=utf-8");
    expect(response.body).toMatchObject({
      type: "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
      status: 503,
      reason: "STORE_UNAVAILABLE",
    });
    expect(response.headers["ratelimit"]).toBeUndefined();
  });

  it("shows no header of ours where they are turned off", async () => {
    const clock = new FakeClock();
    const admission = memoryAdmission({ clock, messageRate: { count: 1, perMs: 1000 } });
    const app = appOf(sampleGuard({ admission, clock }), { headers: false });
    const [passed, rejected] = [await post(app).expect(200), await post(app).expect(429)];
    expect(ownHeaders(passed.headers)).toEqual([]);
    expect(ownHeaders(rejected.headers)).toEqual([]);
    expect(rejected.headers["retry-after"]).toBe("1");
  });
});

/** A job that is sent in parts, with no length told before. */
const chunked = (size: number) =>
  new ReadableStream<Uint8Array>({
    start(controller) {
      const bytes = Buffer.from(JSON.stringify({ prompt: "x".repeat(size) }));
      for (let i = 0; i < bytes.length; i += 100) controller.enqueue(bytes.subarray(i, i + 100));
      controller.close();
    },
  });

const sendZipped = (app: Express, body: Buffer, encoding = "gzip") =>
  request(app)
    .post("/job")
    .set("content-type", "application/json")
    .set("content-encoding", encoding)
    .serialize((value: unknown) => value as string)
    .send(body);

const spoil: RequestHandler = (req, _res, next) => {
  req.setEncoding("utf8");
  next();
};

describe("a body", () => {
  const provider = answering();
  const app = appOf(sampleGuard({ provider }), { bodyLimitBytes: 4096 });

  it.each([
    ["no JSON", "application/json", `{"prompt":"${sentinel}`, 400],
    ["nothing", "application/json", "", 400],
    ["white space", "application/json", "  ", 400],
    ["null", "application/json", "null", 400],
    ["a string", "application/json", JSON.stringify(sentinel), 400],
    ["a number", "application/json", "5551234567", 400],
    ["an array", "application/json", `["${sentinel}"]`, 400],
    ["an empty object", "application/json", "{}", 400],
    ["of another type", "text/plain", sentinel, 415],
    ["a form", "application/x-www-form-urlencoded", `prompt=${sentinel}`, 415],
    ["of no type", "", sentinel, 415],
    ["in KOI8-R", "application/json; charset=koi8-r", "{}", 415],
    [
      "larger than the limit",
      "application/json",
      JSON.stringify({ prompt: sentinel.repeat(400) }),
      413,
    ],
    ["nested beyond reason", "application/json", "[".repeat(4000), 400],
    [
      "nested beyond reason, and closed",
      "application/json",
      `${"[".repeat(2000)}${"]".repeat(2000)}`,
      400,
    ],
  ])("that is %s is refused with problem details", async (_, type, body, status) => {
    const response = await postRaw(app, type, body).expect(status);
    expect(response.headers["content-type"]).toBe("application/problem+json; charset=utf-8");
    expect(response.body).toMatchObject({ type: "about:blank", status });
    expect(response.text).not.toContain(sentinel);
    expect(ownHeaders(response.headers)).toEqual([]);
    expect(provider.calls).toHaveLength(0);
  });

  it.each(["application/json", "application/json; charset=utf-8", "application/vnd.job+json"])(
    "of type %s is read",
    async (type) => {
      const response = await postRaw(appOf(sampleGuard()), type, '{"prompt":"hi"}').expect(200);
      expect(response.body).toEqual(sampleAnswer);
    },
  );

  it.each(["get", "head", "delete", "options"] as const)(
    "that %s has not is refused",
    async (method) => {
      const response = await request(app)[method]("/job");
      expect(response.status).toBe(400);
    },
  );

  it("in chunks is read, and held against the limit", async () => {
    const server = app.listen(0, "127.0.0.1");
    const address = await new Promise<string>((resolve) => {
      server.once("listening", () => {
        const { port } = server.address() as { readonly port: number };
        resolve(`http://127.0.0.1:${port}/job`);
      });
    });
    const send = (size: number) =>
      fetch(address, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: chunked(size),
        duplex: "half",
      });
    const statuses = [(await send(1000)).status, (await send(100_000)).status];
    server.closeAllConnections();
    server.close();
    expect(statuses).toEqual([200, 413]);
  });

  it("that is compressed is read, and held against the limit once it is not", async () => {
    const good = gzipSync(JSON.stringify({ prompt: "hello" }));
    const bomb = gzipSync(JSON.stringify({ prompt: "x".repeat(3_000_000) }));
    expect(bomb.length).toBeLessThan(4096);
    await sendZipped(app, good).expect(200);
    await sendZipped(app, bomb).expect(413);
    await sendZipped(app, good.subarray(0, 20)).expect(400);
    await sendZipped(app, Buffer.from(sentinel)).expect(400);
    await sendZipped(app, good, "zip-of-tomorrow").expect(415);
  });

  it("that an earlier parser has read is taken", async () => {
    const parsed = appOf(sampleGuard(), {}, [express.json()]);
    const response = await post(parsed).expect(200);
    expect(response.body).toEqual(sampleAnswer);
    await post(parsed, { prompt: "" }).expect(400);
    await postRaw(parsed, "application/json", "[]").expect(400);
  });

  it("that an earlier parser has read as a form is refused", async () => {
    const parsed = appOf(sampleGuard(), {}, [express.urlencoded()]);
    const response = await postRaw(parsed, "application/x-www-form-urlencoded", "prompt=hello");
    expect(response.status).toBe(415);
  });

  it("that an earlier parser has read as bytes is no job", async () => {
    const parsed = appOf(sampleGuard(), {}, [express.raw({ type: "*/*" })]);
    expect((await post(parsed)).status).toBe(400);
  });

  it("that the application has spoilt is its error, not the client's", async () => {
    const response = await post(appOf(sampleGuard(), {}, [spoil])).expect(500);
    expect(response.body).toEqual({ seen: "stream encoding should not be set" });
  });
});

describe("a fault of the input", () => {
  const schema = z.strictObject({
    prompt: z.string().min(1).max(10),
    "a/b~c": z.int().optional(),
    items: z.array(z.strictObject({ name: z.string() })).optional(),
    byName: z.record(z.string(), z.number()).optional(),
    byNumber: z.record(z.string().regex(/^\d+$/), z.number()).optional(),
    kind: z.enum(["a", "b"]).optional(),
    either: z.union([z.string(), z.strictObject({ x: z.number() })]).optional(),
    told: z
      .discriminatedUnion("type", [
        z.strictObject({ type: z.literal("a"), a: z.number() }),
        z.strictObject({ type: z.literal("b") }),
      ])
      .optional(),
    pair: z.tuple([z.string(), z.number()]).optional(),
    even: z
      .number()
      .refine((n) => n % 2 === 0, { error: (issue) => `${String(issue.input)} is odd` })
      .optional(),
  });
  const input = schema as unknown as z.ZodType<SampleJob>;
  const app = appOf(sampleGuard(), { input });
  const faultsOf = async (body: object) => {
    const response = await post(app, body).expect(400);
    expect(response.text).not.toContain(sentinel);
    expect(response.text).not.toContain("5551234567");
    return (response.body as { errors: unknown }).errors;
  };

  it.each<[what: string, body: object, path: string, rule: string]>([
    ["missing", {}, "/prompt", "expected string"],
    ["of another type", { prompt: [sentinel] }, "/prompt", "expected string"],
    ["too short", { prompt: "" }, "/prompt", "too_small"],
    ["too long", { prompt: `${sentinel}...........` }, "/prompt", "too_big"],
    ["a name to escape", { prompt: "x", "a/b~c": sentinel }, "/a~1b~0c", "expected number"],
    [
      "in an array",
      { prompt: "x", items: [{ name: "a" }, { name: 1 }] },
      "/items/1/name",
      "expected string",
    ],
    ["a key that is unknown", { prompt: "x", [sentinel]: 1 }, "", "unrecognized_keys"],
    [
      "a key that is unknown in an item",
      { prompt: "x", items: [{ name: "a", [sentinel]: 1 }] },
      "/items/0",
      "unrecognized_keys",
    ],
    [
      "in a record, under the client's own key",
      { prompt: "x", byName: { [sentinel]: "x" } },
      "/byName/*",
      "expected number",
    ],
    [
      "in a record, under a number",
      { prompt: "x", byNumber: { "5551234567": "x" } },
      "/byNumber/*",
      "expected number",
    ],
    [
      "the key of a record",
      { prompt: "x", byNumber: { [sentinel]: 1 } },
      "/byNumber/*",
      "invalid_key",
    ],
    ["of no member of an enum", { prompt: "x", kind: sentinel }, "/kind", "invalid_value"],
    [
      "of no member of a union",
      { prompt: "x", either: { [sentinel]: 1 } },
      "/either",
      "invalid_union",
    ],
    ["of an unknown member", { prompt: "x", told: { type: sentinel } }, "/told/*", "invalid_union"],
    [
      "in a member",
      { prompt: "x", told: { type: "a", a: sentinel } },
      "/told/*",
      "expected number",
    ],
    ["in a tuple", { prompt: "x", pair: ["a", sentinel] }, "/pair/1", "expected number"],
    [
      "of a refinement with words of its own",
      { prompt: "x", even: 5_551_234_567 },
      "/even",
      "custom",
    ],
  ])("%s is told by its path and rule, never by its value", async (_, body, path, rule) => {
    expect(await faultsOf(body)).toEqual([{ path, rule }]);
  });

  it("is told with at most nineteen others", async () => {
    const items = Array.from({ length: 1000 }, () => ({ [sentinel]: sentinel }));
    expect(await faultsOf({ prompt: "x", items })).toHaveLength(20);
  });

  it("nested as deep as the limit allows, in a recursive schema, is told too", async () => {
    const tree: z.ZodType = z.lazy(() => z.array(tree));
    const deep = appOf(sampleGuard(), { input: tree as z.ZodType<SampleJob> });
    const response = await postRaw(
      deep,
      "application/json",
      `${"[".repeat(50_000)}${"]".repeat(50_000)}`,
    );
    expect(response.status).toBe(400);
    expect(response.body).toMatchObject({ status: 400 });
    await request(deep).get("/ping").expect(200);
  });

  it("made of the names of prototypes pollutes nothing", async () => {
    const open = z.object({ prompt: z.string(), byName: z.record(z.string(), z.unknown()) });
    const provider = answering();
    const loose = appOf(sampleGuard({ provider }), {
      input: open as unknown as z.ZodType<SampleJob>,
    });
    const body =
      '{"prompt":"x","__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},' +
      '"byName":{"__proto__":{"polluted":1},"toString":1}}';
    await postRaw(loose, "application/json", body).expect(200);
    const given = provider.last().asked.input as object;
    expect((given as { polluted?: unknown }).polluted).toBeUndefined();
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    expect(Object.getPrototypeOf(given)).toBe(Object.prototype);
    expect(Object.keys(given)).toEqual(["prompt", "byName"]);
    // A strict schema refuses them.
    await postRaw(appOf(sampleGuard()), "application/json", body).expect(400);
  });
});

const throws = () => {
  throw new Error("who?");
};

describe("the application's own functions", () => {
  it("are asked for the subject, attributes and run of the parsed input", async () => {
    const run = vi.fn<RouteOptions["run"] & {}>(() => "run-1");
    const attributes = vi.fn<RouteOptions["attributes"] & {}>(() => ({ board: "aqa" }));
    const outcomes: SampleOutcome[] = [];
    const guard = sampleGuard();
    await post(appOf(guard, { run, attributes, onOutcome: (outcome) => outcomes.push(outcome) }), {
      prompt: "hello",
    }).expect(200);
    expect(run.mock.calls[0]?.[1]).toEqual({ prompt: "hello" });
    expect(attributes.mock.calls[0]?.[1]).toEqual({ prompt: "hello" });
    expect(outcomes.map(({ status }) => status)).toEqual(["SUCCEEDED"]);
  });

  it.each(["subject", "attributes", "run"] as const)(
    "%s that throws goes to Express's error handler, and calls no provider",
    async (name) => {
      const provider = answering();
      const guard = sampleGuard({ provider });
      const response = await post(appOf(guard, { [name]: throws })).expect(500);
      expect(response.body).toEqual({ seen: "who?" });
      expect(provider.calls).toHaveLength(0);
      expect(guard.inFlight).toBe(0);
    },
  );

  // An async function fits where one that returns nothing is asked for.
  it.each<[how: string, onOutcome: () => unknown]>([
    [
      "throws",
      () => {
        throw new Error("observer");
      },
    ],
    ["rejects", () => Promise.reject(new Error("observer"))],
    ["hangs", () => Promise.withResolvers<void>().promise],
  ])("I8 an onOutcome that %s changes nothing", async (_, onOutcome) => {
    const response = await post(appOf(sampleGuard(), { onOutcome })).expect(200);
    expect(response.body).toEqual(sampleAnswer);
  });

  it.each<[subject: string]>([[""], ["a\0b"], ["\ud800"], ["x".repeat(2000)]])(
    "a subject that can't be decided for gets the safe path: %j",
    async (subject) => {
      const response = await post(appOf(sampleGuard(), { subject: () => subject })).expect(200);
      expect(response.body).toEqual(sampleStub);
    },
  );
});

/** What `compression` does, in few lines: the answer leaves later than it was given. */
const compressing: RequestHandler = (_req, res, next) => {
  const end = res.end.bind(res);
  res.end = ((chunk: string | Buffer) => {
    const zipped = gzipSync(chunk);
    res.set({ "content-encoding": "gzip", "content-length": String(zipped.length) });
    setImmediate(() => end(zipped));
    return res;
  }) as typeof res.end;
  next();
};

describe("among other middleware", () => {
  it("an answer that something else gave first stands", async () => {
    const provider = fakeProvider<SampleJob>();
    const impatient: RequestHandler = (_req, res, next) => {
      next();
      res.status(202).json({ queued: true });
      provider.last().reply(valueReply(sampleAnswer));
    };
    const app = express().use(express.json(), impatient);
    const guard = sampleGuard({ provider });
    // The body is parsed already, so the route calls the provider before `next` returns.
    app.post("/job", guardRoute(guard, { subject: () => "alice", input: jobSchema }));
    const response = await post(app).expect(202);
    expect(response.body).toEqual({ queued: true });
    await vi.waitFor(() => expect(guard.inFlight).toBe(0));
  });

  it("a compressed answer is complete, and its request was not aborted", async () => {
    const provider = answering();
    const guard = sampleGuard({ provider });
    const response = await post(appOf(guard, {}, [compressing])).expect(200);
    expect(response.body).toEqual(sampleAnswer);
    expect(response.headers["content-encoding"]).toBe("gzip");
    expect(provider.last().asked.signal.aborted).toBe(false);
    expect(guard.inFlight).toBe(0);
  });
});

describe("a wrong configuration", () => {
  it.each([
    [{ subject: "alice" }, "guardRoute.subject"],
    [{ input: {} }, "guardRoute.input"],
    [{ attributes: {} }, "guardRoute.attributes"],
    [{ run: "r" }, "guardRoute.run"],
    [{ bodyLimitBytes: 0 }, "guardRoute.bodyLimitBytes"],
    [{ bodyLimitBytes: "1mb" }, "guardRoute.bodyLimitBytes"],
    [{ headers: "no" }, "guardRoute.headers"],
    [{ rateLimitHeaders: true }, "guardRoute.rateLimitHeaders"],
    [{ onOutcome: true }, "guardRoute.onOutcome"],
    [{ timeout: 5 }, "guardRoute.timeout"],
  ])("%j is refused in one line that names the option", (wrong, option) => {
    const make = () => appOf(sampleGuard(), wrong as Partial<RouteOptions>);
    expect(make).toThrow(ConfigError);
    expect(make).toThrow(new RegExp(`^${option.replaceAll(".", "\\.")}: got [^\n]*$`));
  });
});
