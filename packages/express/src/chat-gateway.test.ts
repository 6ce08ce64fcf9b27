import { once } from "node:events";
import { connect } from "node:net";
import { ConfigError } from "@sluice/contract";
import express, { type RequestHandler } from "express";
import { describe, expect, it } from "vitest";
import {
  ask,
  asks,
  chatApp,
  chatGuard,
  chatBody,
  jsonAsk,
  listening,
  message,
  on,
  shadowed,
  type ChatOptions,
  type ChatSetting,
} from "./chat-for-tests.ts";
import { chatGateway } from "./chat-gateway.ts";

const untouched: RequestHandler = (req, res) => {
  const events = [...req.eventNames(), ...res.eventNames()].map(String);
  const own = [...Object.getOwnPropertyNames(req), ...Object.getOwnPropertyNames(res)];
  res.json([req.readableDidRead, events, own]);
};
const early: RequestHandler = (_req, res, next) => {
  res.status(503).json({ reply: "too late" });
  next();
};
const fail = (): never => {
  throw new Error("of the application");
};
const rejects = () => Promise.reject(new Error("of the application"));

describe("the stages", () => {
  it.each<[string, ChatSetting]>([
    ["legacy, by default", { switches: {} }],
    ["legacy, whatever else is on", { switches: { ...shadowed, FF_CHAT_GATEWAY_ENABLED: false } }],
    ["shadow", { switches: shadowed }],
  ])("%s: the legacy handler answers, and no header says more", async (_, setting) => {
    const { app, provider } = chatApp(setting);
    const response = await ask(app, jsonAsk).expect(200);
    expect(response.body).toEqual({ reply: "legacy" });
    expect(Object.keys(response.headers).filter((name) => name.startsWith("sluice"))).toEqual([]);
    expect(provider.calls).toEqual([]);
  });

  it("change between one request and the next", async () => {
    let switches = {};
    const { app } = chatApp({
      switches: {},
      flags: (source) => ({
        ...source,
        readSwitches: () => ({
          switches: { ...source.readSwitches().switches, ...switches },
          problems: [],
        }),
      }),
    });
    const paths: unknown[] = [];
    for (switches of [{}, on, {}]) paths.push((await ask(app, jsonAsk)).headers["sluice-path"]);
    expect(paths).toEqual([undefined, "ai", undefined]);
  });

  it("legacy touches nothing of the request and the response", async () => {
    const { app } = chatApp({ switches: {} }, { legacy: untouched });
    const alone = express().all("/api/chat", untouched);
    expect((await ask(app, jsonAsk)).body).toEqual((await ask(alone, jsonAsk)).body);
  });

  it.each([{}, shadowed])(
    "without a legacy option the next handler is it: %o",
    async (switches) => {
      const { app } = chatApp({ switches }, { legacy: undefined } as unknown as ChatOptions);
      expect((await ask(app, jsonAsk)).body).toEqual({ reply: "the next handler" });
    },
  );
});

describe("functions of the application", () => {
  it.each<[string, ChatOptions]>([
    ["subject", { subject: fail }],
    ["subject, later", { subject: rejects }],
    ["attributes", { attributes: fail }],
    ["run", { run: fail }],
  ])("that throw are its errors: %s", async (_, options) => {
    const { app, gateway } = chatApp({}, options);
    const response = await ask(app, jsonAsk).expect(500);
    expect(response.body).toEqual({ seen: "of the application" });
    expect(gateway.active).toBe(0);
  });

  it.each<[string, RequestHandler]>([
    ["throws", fail],
    ["rejects", rejects],
    ["gives it to next", (_req, _res, next) => next(new Error("of the application"))],
  ])("a legacy handler that %s is heard", async (_, legacy) => {
    const { app } = chatApp({ enabled: false }, { legacy });
    const response = await ask(app, jsonAsk).expect(500);
    expect(response.body).toEqual({ seen: "of the application" });
  });

  it("are asked with the request and the parsed input", async () => {
    const seen: unknown[] = [];
    const { app, recorded, guard } = chatApp(
      {},
      {
        subject: (req) => Promise.resolve(String(req.headers["x-user"])),
        attributes: (req, { messages }) => {
          seen.push(req.path, messages);
          return {};
        },
        requestId: () => "r-1",
      },
    );
    await ask(app, jsonAsk).set("x-user", "ben").expect(200);
    guard.flush();
    expect(seen).toEqual(["/api/chat", [message]]);
    expect(recorded.of("outcome")).toMatchObject([{ request_id: "r-1" }]);
  });
});

it.each(Object.entries(asks))(
  "an answer that something else gave first stands: %s",
  async (_, asked) => {
    for (const enabled of [true, false]) {
      const { app, gateway } = chatApp({ enabled }, {}, [express.json(), early]);
      const response = await ask(app, asked).expect(503);
      expect(response.body).toEqual({ reply: "too late" });
      expect(gateway.active).toBe(0);
    }
  },
);

it("an answer that something else gives while the subject is looked for is the only one: nobody is called", async () => {
  const found = Promise.withResolvers<string>();
  const asked = Promise.withResolvers<void>();
  const subject = (): Promise<string> => {
    asked.resolve();
    return found.promise;
  };
  const impatient: RequestHandler = (req, res, next) => {
    if (req.path === "/second") {
      // The connection's next request is under way when the first one's subject is known.
      found.resolve("ann");
      setImmediate(() => res.send("second"));
      return;
    }
    next();
    void asked.promise.then(() => res.status(503).send("too late"));
  };
  const { app, gateway, provider, guard } = chatApp({}, { subject }, [express.json(), impatient]);
  const port = await listening(app);
  const socket = connect(port, "127.0.0.1");
  let received = "";
  socket.on("data", (chunk: Buffer) => {
    received += chunk.toString();
  });
  const head = `host: app\r\ncontent-type: application/json\r\ncontent-length: ${chatBody.length}`;
  socket.write(`POST /api/chat HTTP/1.1\r\n${head}\r\n\r\n${chatBody}`);
  socket.write("GET /second HTTP/1.1\r\nhost: app\r\nconnection: close\r\n\r\n");
  await once(socket, "close");
  expect(received).toMatch(/ 503 [^]*too late[^]* 200 [^]*second$/);
  expect(provider.calls).toHaveLength(0);
  expect([guard.inFlight, gateway.active]).toEqual([0, 0]);
});

describe("a gateway that drains", () => {
  it("lets nobody in, and says when to come back", async () => {
    const { app, gateway } = chatApp();
    await gateway.drain();
    const response = await ask(app, jsonAsk).expect(503);
    expect(response.headers["retry-after"]).toBe("1");
  });

  it("lets the legacy handler go on in its stages", async () => {
    for (const switches of [{}, shadowed]) {
      const { app, gateway } = chatApp({ switches });
      await gateway.drain();
      expect((await ask(app, jsonAsk)).body).toEqual({ reply: "legacy" });
    }
  });
});

it("a wrong option is named at start", () => {
  const { guard } = chatGuard();
  const make = (options: object) => () => chatGateway({ guard, subject: () => "ann", ...options });
  expect(make({ subjekt: 1 })).toThrow(ConfigError);
  expect(make({ legacy: "handler" })).toThrow(/chatGateway\.legacy/);
  expect(make({ guard: {} })).toThrow(/chatGateway\.guard/);
});

it("a guard, a subject and a legacy handler are enough", () => {
  const { guard } = chatGuard();
  const handler: RequestHandler = chatGateway({
    guard,
    subject: ({ ip }) => ip ?? "",
    legacy: early,
  });
  expect(handler).toHaveLength(3);
});
