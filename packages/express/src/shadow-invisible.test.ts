import { PassThrough, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { MetricSample } from "@sluice/contract";
import { chatInputSchema, type ChatInput } from "@sluice/gateway";
import { memoryAdmission } from "@sluice/guard";
import { fakeAdmissionStore, type FakeCall } from "@sluice/testkit";
import express, { type RequestHandler } from "express";
import { describe, expect, it } from "vitest";
import {
  chatGuard,
  chatProvider,
  listening,
  rawAnswer,
  shadowed,
  type ChatSetting,
  type RawRequest,
} from "./chat-for-tests.ts";
import { chatGateway, type ChatGatewayHandler, type ChatGatewayOptions } from "./chat-gateway.ts";

interface Legacy {
  readonly handler: RequestHandler;
  readonly before?: readonly RequestHandler[];
  readonly ask?: Partial<RawRequest>;
}

const fail = (): never => {
  throw new Error("defect");
};
const { promise: never } = Promise.withResolvers<never>();

const read = async (req: AsyncIterable<unknown>): Promise<string> => {
  let all = "";
  for await (const chunk of req) all += String(chunk);
  return all;
};
const json = express.json();
/** Calls one of the response's methods from the other, as some do that compress. */
const wrapping: RequestHandler = (_req, res, next) => {
  const write = res.write.bind(res) as (chunk: unknown) => boolean;
  const end = res.end.bind(res) as () => typeof res;
  Object.assign(res, {
    write: (chunk: unknown) => write(String(chunk).toUpperCase()),
    end: (chunk?: unknown) => {
      if (typeof chunk === "string") res.write(chunk);
      return end();
    },
  });
  next();
};

/** What applications have at `/api/chat`. */
const legacies: Readonly<Record<string, Legacy>> = {
  "answers JSON by express.json": {
    before: [json],
    handler: (req, res) => void res.json({ reply: "legacy", got: req.body as unknown }),
  },
  "parses the body itself": {
    handler: (req, res, next) => {
      json(req, res, (error) => (error === undefined ? res.json(req.body) : next(error)));
    },
  },
  "reads with for await": {
    handler: async (req, res) => {
      const all = await read(req);
      res.set("x-read", String(all.length)).status(201).send(all);
    },
  },
  "reads a body in chunks": {
    handler: async (req, res) => void res.send(await read(req)),
    ask: { chunks: 5 },
  },
  "reads text with listeners": {
    handler: (req, res) => {
      let all = "";
      req.setEncoding("utf8");
      req.on("data", (chunk: string) => {
        all += chunk;
      });
      req.on("end", () => res.end(all));
    },
    ask: { chunks: 3 },
  },
  "pipes the body back": { handler: (req, res) => void req.pipe(res) },
  "pipes it through others": {
    handler: (req, res) => pipeline(req, new PassThrough(), res),
  },
  "reads a web stream": {
    handler: async (req, res) => void res.send(await read(Readable.toWeb(req))),
  },
  "reads nothing": { handler: (_req, res) => void res.json({ reply: "unread" }) },
  "reads nothing of a large body": {
    handler: (_req, res) => void res.json({ reply: "unread" }),
    ask: { body: JSON.stringify({ messages: "x".repeat(300_000) }) },
  },
  "reads a large body": {
    handler: async (req, res) => void res.json((await read(req)).length),
    ask: { body: JSON.stringify({ messages: "x".repeat(300_000) }), chunks: 40 },
  },
  "streams events in pieces of its own": {
    before: [json],
    handler: async (_req, res) => {
      res.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
      for (const piece of [
        "data: on",
        "e\n\n",
        "data: two\n\ndata: three\n\n",
        "da",
        "ta: [DONE]\n\n",
      ]) {
        await new Promise<void>((resolve) => {
          res.write(piece, () => resolve());
        });
      }
      res.end();
    },
  },
  "writes bytes over and over in the same memory": {
    handler: async (_req, res) => {
      const memory = Buffer.alloc(4);
      for (const letter of "abc") {
        memory.fill(letter);
        await new Promise<void>((resolve) => {
          res.write(memory, () => resolve());
        });
      }
      res.end("2e", "hex");
    },
  },
  "answers with more than is compared": {
    handler: (_req, res) =>
      pipeline(Readable.from(Array.from({ length: 40 }, () => "y".repeat(9000))), res),
  },
  "throws at once": { handler: fail },
  rejects: {
    handler: async () => {
      await Promise.resolve();
      fail();
    },
  },
  "gives an error to next": {
    before: [json],
    handler: (_req, _res, next) => next(new Error("legacy")),
  },
  "meets a body that is no JSON": { handler: json, ask: { body: '{"messages": [' } },
  "meets one that is no JSON, in chunks": {
    handler: json,
    ask: { body: '{"messages": [', chunks: 2 },
  },
  "meets a form": {
    handler: async (req, res) => void res.send(await read(req)),
    ask: { body: "a=b", headers: { "content-type": "application/x-www-form-urlencoded" } },
  },
  "fails after its first words": {
    handler: (_req, res) => {
      res.write("some");
      fail();
    },
  },
  "destroys the response": {
    handler: (_req, res) => {
      res.write("some", () => res.destroy());
    },
  },
  "destroys the request": { handler: (req) => void req.destroy() },
  "writes what can't be written": {
    handler: (_req, res) => {
      try {
        res.end(7 as unknown as string);
      } catch (error) {
        res.end(String(error));
      }
    },
  },
  "writes after the end": {
    handler: (_req, res) => {
      res.on("error", () => undefined);
      res.end("done");
      res.write("more");
    },
  },
  "answers 204": { handler: (_req, res) => void res.status(204).end() },
  "answers a HEAD": { handler: (_req, res) => void res.json({ a: 1 }), ask: { method: "HEAD" } },
  "answers a GET": {
    handler: (_req, res) => void res.json({ a: 1 }),
    ask: { method: "GET", body: "" },
  },
  "answers with trailers": {
    handler: (_req, res) => {
      res.setHeader("trailer", "x-sum");
      res.write("body");
      res.addTrailers({ "x-sum": "4" });
      res.end();
    },
  },
  "answers with early hints and a raw list of headers": {
    handler: (_req, res) => {
      res.writeEarlyHints({ link: "</a.css>; rel=preload" });
      res.writeHead(200, "Fine", ["Content-Type", "text/plain", "X-Twice", "1", "X-Twice", "2"]);
      res.end("raw");
    },
  },
  "answers behind what rewrites answers": {
    before: [wrapping],
    handler: (_req, res) => {
      res.write("written ");
      res.end("ended");
    },
  },
  "looks at what its methods return": {
    before: [json],
    handler: (req, res) => {
      const kinds = [typeof res.write("a"), res.end() === res, req.listenerCount("data")];
      kinds.push(req.readableFlowing === true, res.writableEnded);
      res.socket?.write(`\r\n${kinds.join(" ")}`);
    },
  },
  "shows what it finds on the request": {
    before: [json],
    handler: (req, res) => {
      const events = [...req.eventNames(), ...res.eventNames()].map(String);
      void res.json({ keys: [...Object.keys(req), ...Object.keys(res)], events });
    },
  },
  "hands over to the next handler": { handler: (_req, _res, next) => next() },
};

type Options = Partial<ChatGatewayOptions<ChatInput, unknown, unknown, unknown>>;

interface Beside {
  readonly setting?: () => ChatSetting;
  readonly options?: Options;
}

const mirror = { mirrorShare: 1, costNanoUsdPerDay: 1_000_000_000 };
const mirrored = (onCall: (call: FakeCall<ChatInput>) => void, options: Options = {}): Beside => ({
  setting: () => ({ provider: chatProvider(onCall) }),
  options: { shadow: mirror, ...options },
});

/** What may run beside it, and how it may fail. */
const besides: Readonly<Record<string, Beside>> = {
  "the checks alone": {},
  "a mirror": { options: { shadow: { ...mirror, equal: [] } } },
  "a mirror whose provider hangs": mirrored(() => undefined),
  "a mirror whose provider throws": mirrored(fail),
  "a mirror whose provider is cut": mirrored((call) => call.fail(new Error("cut"))),
  "a mirror that can't be compared": { options: { shadow: { ...mirror, fromLegacy: fail } } },
  "a share that can't be told": { options: { shadow: { ...mirror, random: fail } } },
  "a store that hangs": { setting: () => ({ admission: fakeAdmissionStore({ limit: 1 }) }) },
  "a store that throws": {
    setting: () => ({ admission: fakeAdmissionStore({ limit: 1, onAcquire: fail }) }),
  },
  "a store that rejects": {
    setting: () => ({
      admission: fakeAdmissionStore({
        limit: 1,
        onAcquire: (asked) => asked.fail(new Error("no")),
      }),
    }),
  },
  "a store that can't be had apart": {
    setting: () => ({
      admission: { ...memoryAdmission({ userInFlight: { limit: 1 } }), apart: fail },
    }),
  },
  "a limit that is full": {
    setting: () => ({
      admission: memoryAdmission({ messageRate: { count: 1, perMs: 1_000_000 } }),
    }),
  },
  "switches that can't be read": {
    setting: () => ({ flags: (source) => ({ ...source, readSwitches: fail }) }),
  },
  "flags that can't be read": {
    setting: () => ({ flags: (source) => ({ ...source, read: fail }) }),
  },
  "a feature that is closed": { setting: () => ({ enabled: false }) },
  "a subject that throws": { options: { subject: fail } },
  "a subject that never comes": { options: { subject: () => never } },
  "attributes that throw": { options: { attributes: fail } },
  "a schema that throws": {
    options: { input: chatInputSchema.transform(fail) },
  },
  "a sink of events that throws": { setting: () => ({ sink: fail }) },
  "a sink of metrics that throws": { setting: () => ({ metrics: fail }) },
  "room for no body": {
    options: { shadow: { ...mirror, bodyLimitBytes: 1, answerLimitBytes: 1 } },
  },
};

async function served(
  setting: ChatSetting,
  options: Options,
): Promise<{
  readonly port: number;
  readonly gateways: readonly ChatGatewayHandler<ChatInput>[];
  readonly samples: readonly MetricSample[];
  readonly flush: () => void;
}> {
  const { guard, samples } = chatGuard(setting);
  const app = express();
  const gateways: ChatGatewayHandler<ChatInput>[] = [];
  for (const [name, { before = [], handler }] of Object.entries(legacies)) {
    const gateway = chatGateway({ guard, subject: () => "ann", ...options, legacy: handler });
    gateways.push(gateway);
    app.all(pathOf(name), ...before, gateway);
  }
  return { port: await listening(app), gateways, samples, flush: () => guard.flush() };
}

const pathOf = (name: string): string => `/${name.replaceAll(/[^a-z]/gi, "-")}`;

async function answersOf(port: number): Promise<Readonly<Record<string, string>>> {
  const answers = Object.entries(legacies).map(async ([name, { ask }]) => {
    const answer = await rawAnswer(port, { path: pathOf(name), ...ask });
    return [name, answer] as const;
  });
  return Object.fromEntries(await Promise.all(answers));
}

let alone: Readonly<Record<string, string>> | undefined;

describe("I6 a legacy handler's answer is the same, byte for byte, beside", () => {
  it.each(Object.entries(besides))("I6 %s", async (_, { setting, options = {} }) => {
    alone ??= await answersOf((await served({ switches: {} }, {})).port);
    const beside = await served({ switches: shadowed, ...setting?.() }, options);
    expect(await answersOf(beside.port)).toEqual(alone);
    expect(alone["answers JSON by express.json"]).toMatch(/^HTTP\/1.1 200 OK\r\n[^]*hello/);
  });
});
