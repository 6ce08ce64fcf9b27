import { admissionDimensions, type AdmissionStore } from "@sluice/contract";
import { memoryAdmission } from "@sluice/guard";
import { valueReply } from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { ask } from "./ask.ts";
import { checkGateway, checkMeta, type ObservedMeta } from "./check-gateway.ts";
import { checkHttp, checkStreams } from "./check-http.ts";
import { askGateway, observeGateway, openGateway } from "./observe-gateway.ts";
import { greeting, observeStatuses, oneAMinute, serveRoute } from "./observe-http.ts";
import { observeStreams } from "./observe-streams.ts";
import { plant } from "./plant.ts";
import { readPage } from "./read-page.ts";
import { readText } from "./repository.ts";

const text = readText("docs/reference/http.md");
const id: unknown = expect.stringMatching(/^[\w-]{8,64}$/);
const observed = await observeStatuses();

describe("the page on HTTP", () => {
  it("tells the statuses that a guarded route gives", () => {
    expect(checkHttp(readPage(text), observed)).toEqual([]);
  });

  it.each([
    [
      "a status",
      ["| 502; 504 for a timeout |", "| 502 |"],
      "`FAILED`, policy `failed`: the status is 502 or 504",
    ],
    [
      "a status of a bad request",
      ["| 413 |", "| 400 |"],
      "body over `bodyLimitBytes`: the status is 413",
    ],
    ["a missing cause", ["| `STUBBED` |", "| |"], "`STUBBED` is not documented"],
  ] as const)("is held to it: %s", (_, [good, bad], fault) => {
    expect(checkHttp(readPage(plant(text, good, bad)), observed)).toContain(fault);
  });
});

describe("what the page on HTTP says of streams", async () => {
  const streams = await observeStreams();

  it("is how a route answers that streams, and what its events hold", () => {
    expect(checkStreams(readPage(text), streams)).toEqual([]);
  });

  it.each([
    [
      "a status",
      ["| is `REJECTED` | 429; 503", "| is `REJECTED` | 429; 500"],
      "is `REJECTED`: the status is 429 or 503",
    ],
    [
      "a content type",
      ["| flows | 200 | `text/event-stream` |", "| flows | 200 | `application/json` |"],
      "flows: the content type is text/event-stream",
    ],
    ["a missing event", ["| `tool-call` |", "| |"], "tool-call is not documented"],
    [
      "an invented member",
      ["`id`, `name`, `input`", "`id`, `name`, `arguments`"],
      "tool-call: arguments is documented and does not exist",
    ],
  ] as const)("is held to it: %s", (_, [good, bad], fault) => {
    expect(checkStreams(readPage(plant(text, good, bad)), streams)).toContain(fault);
  });
});

describe("what the page on HTTP says of a chat gateway", async () => {
  const gateway = await observeGateway();

  it("is how one answers, in each protocol", () => {
    expect(checkGateway(readPage(text), gateway)).toEqual([]);
  });

  it.each([
    [
      "a status",
      ["| comes while the gateway drains | 503 |", "| comes while the gateway drains | 429 |"],
      "comes while the gateway drains, json: it is 503",
    ],
    [
      "who answers",
      ["| is diverted | the legacy handler's |", "| is diverted | 200 |"],
      "is diverted, json: it is the legacy handler's",
    ],
    [
      "a path",
      ["| 200 | 200 | 200 | `stub` |", "| 200 | 200 | 200 | `ai` |"],
      "the same without a legacy handler, `STUBBED`, sluice-path: it is `stub`",
    ],
    ["a missing request", ["| has a wrong body |", "| |"], "has a wrong body is not documented"],
  ] as const)("is held to it: %s", (_, [good, bad], fault) => {
    expect(checkGateway(readPage(plant(text, good, bad)), gateway)).toContain(fault);
  });
});

describe("what the page on HTTP says of who answered", async () => {
  const response = await askGateway(openGateway({ meta: true }));
  const { meta } = z
    .object({ meta: z.record(z.string(), z.unknown()) })
    .parse(await response.json());
  const observedMeta: ObservedMeta = {
    members: Object.keys(meta),
    headers: [...response.headers.keys()].filter((name) => name.startsWith("sluice-")),
  };

  it("is what an answer tells of itself", () => {
    expect(checkMeta(readPage(text), observedMeta)).toEqual([]);
  });

  it.each([
    ["a member", ["| `fallback_used` |", "| `fallback` |"], "fallback_used is not documented"],
    [
      "a header",
      ["| `sluice-selected-provider` |", "| `sluice-provider` |"],
      "sluice-selected-provider is not documented",
    ],
  ] as const)("is held to it: %s", (_, [good, bad], fault) => {
    expect(checkMeta(readPage(plant(text, good, bad)), observedMeta)).toContain(fault);
  });

  it("but for `path` and `decision` no header tells it unasked", async () => {
    const { headers } = await askGateway(openGateway());
    const own = [...headers.keys()].filter((name) => name.startsWith("sluice-"));
    expect(own.toSorted()).toEqual(["sluice-decision", "sluice-path"]);
  });
});

describe("what the page on HTTP says of problems", () => {
  it("a 400 lists at most 20 errors, by path and rule, without a name that the client chose", async () => {
    const input = z.object({ prompt: z.string(), marks: z.record(z.string(), z.number()) });
    const marks = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`secret ${i}`, "x"]));
    const { body, type, text: raw } = await ask(serveRoute({ route: { input } }), "/", { marks });
    const { errors } = z.object({ errors: z.array(z.unknown()) }).parse(body);
    expect(type).toBe("application/problem+json");
    expect(errors).toHaveLength(20);
    expect(errors.slice(0, 2)).toEqual([
      { path: "/prompt", rule: "expected string" },
      { path: "/marks/*", rule: "expected number" },
    ]);
    expect(raw).not.toContain("secret");
  });

  it("a rejection tells its reason and when to come back, and has no path", async () => {
    const app = serveRoute({ admission: oneAMinute() });
    await ask(app, "/", greeting);
    const { body, headers, type } = await ask(app, "/", greeting);
    expect(type).toBe("application/problem+json");
    expect(body).toMatchObject({ reason: "MESSAGE_RATE", "violated-policies": ["message-rate"] });
    expect(text).toContain((body as { type: string }).type);
    expect(headers).toMatchObject({ "retry-after": "60", "sluice-decision": id });
    expect(headers).not.toHaveProperty("sluice-path");
  });
});

const admission = (): AdmissionStore =>
  memoryAdmission({
    userInFlight: { limit: 2 },
    globalInFlight: { limit: 9 },
    userBudget: { calls: 50 },
  });

describe("what the page on HTTP says of limits", () => {
  it("is what a rejection looks like, to the letter", async () => {
    const store = admission();
    for (let i = 0; i < 2; i += 1) void store.acquire("someone");
    const { body, headers, status, type } = await ask(
      serveRoute({ admission: store }),
      "/",
      greeting,
    );
    const [, shownHead = "", shownBody = ""] = /```http\n([^]*?)\n\n([^]*?)\n```/.exec(text) ?? [];
    expect(status).toBe(429);
    expect(body).toEqual(JSON.parse(shownBody));
    expect(shownHead).toContain(`Content-Type: ${type}`);
    expect(shownHead).toContain(`RateLimit-Policy: ${headers["ratelimit-policy"]}`);
    // Nine calls were made before.
    expect(shownHead).toContain(`RateLimit: ${headers["ratelimit"]?.replace("r=50", "r=41")}`);
    expect(headers).toHaveProperty("retry-after");
    for (const name of admissionDimensions) {
      expect(text).toContain(`\`${name.replaceAll("_", "-")}\``);
    }
  });

  it("limits that all share are told only where that is asked for", async () => {
    const own = await ask(serveRoute({ admission: admission() }), "/", greeting);
    const route = { rateLimitHeaders: "all" } as const;
    const all = await ask(serveRoute({ admission: admission(), route }), "/", greeting);
    expect(own.headers["ratelimit-policy"]).not.toContain("global");
    expect(all.headers["ratelimit-policy"]).toContain('"global-in-flight";q=9');
  });
});

describe("what the page on HTTP says of headers", () => {
  it("they tell the decision and who answered", async () => {
    const { headers } = await ask(serveRoute(), "/", greeting);
    expect(headers).toMatchObject({ "sluice-path": "ai", "sluice-decision": id });
    const failed = await ask(
      serveRoute({ onFailure: "stub", onCall: (call) => call.reply(valueReply("nonsense")) }),
      "/",
      greeting,
    );
    expect(failed.headers).toMatchObject({ "sluice-path": "stub" });
  });

  it("there is none with `headers: false`", async () => {
    const { headers } = await ask(serveRoute({ route: { headers: false } }), "/", greeting);
    expect(Object.keys(headers).filter((name) => name.startsWith("sluice"))).toEqual([]);
  });
});
