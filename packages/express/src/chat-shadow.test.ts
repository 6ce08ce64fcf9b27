import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { gzipSync } from "node:zlib";
import type { ChatInput } from "@sluice/gateway";
import { memoryAdmission } from "@sluice/guard";
import express, { type RequestHandler } from "express";
import { describe, expect, it, vi } from "vitest";
import {
  chatBody,
  chatGuard,
  chatProvider,
  listening,
  rawAnswer,
  shadowed,
  type ChatSetting,
  type RawRequest,
} from "./chat-for-tests.ts";
import { chatGateway, type ChatGatewayOptions } from "./chat-gateway.ts";

type Options = Partial<
  ChatGatewayOptions<ChatInput, { status: "OK"; reply: string }, unknown, unknown>
>;

const json = express.json({ limit: "1mb" });
const read = async (req: AsyncIterable<unknown>): Promise<string> => {
  let all = "";
  for await (const chunk of req) all += String(chunk);
  return all;
};
const answers: RequestHandler = async (req, res) => {
  await read(req);
  res.json({ status: "OK", reply: "a good answer" });
};

const emptying: RequestHandler = (req, res) => {
  const { messages } = req.body as { messages: unknown[] };
  messages.length = 0;
  res.json({ reply: "legacy" });
};
const inPieces: RequestHandler = async (req, res) => {
  await read(req);
  res.writeHead(200, { "Content-Type": "application/json" });
  for (const piece of ['{"status":"OK",', '"reply":"another', ' answer"}']) res.write(piece);
  res.end();
};
const unending: RequestHandler = async (req, res) => {
  await read(req);
  res.write("some");
};
const untilGone: RequestHandler = (_req, res, next) => void res.once("close", next);
const fail = (): never => {
  throw new Error("defect");
};

async function beside(
  setting: ChatSetting = {},
  options: Options = {},
  before: readonly RequestHandler[] = [],
) {
  const provider = chatProvider();
  const made = chatGuard({ switches: shadowed, provider, ...setting });
  const { guard, samples } = made;
  const gateway = chatGateway({ guard, subject: () => "ann", legacy: answers, ...options });
  const app = express();
  app.all("/", ...before, gateway);
  const port = await listening(app);
  const idle = async (): Promise<void> => {
    await vi.waitFor(() => expect([gateway.shadow.watched, guard.inFlight]).toEqual([0, 0]), {
      interval: 1,
    });
    guard.flush();
  };
  const ask = async (more: Partial<RawRequest> = {}): Promise<string> => {
    const answer = await rawAnswer(port, { path: "/", ...more });
    await idle();
    return answer;
  };
  /** Samples that tell of the shadow, and the responses. */
  const told = (kind: string) => samples.filter((sample) => sample.kind === kind);
  return { ...made, port, gateway, provider, ask, idle, told };
}

const mirror = { mirrorShare: 1, costNanoUsdPerDay: 1_000_000_000 };

describe("the checks", () => {
  it("tell what the gates would have said, of each request that could be read", async () => {
    const { ask, told, provider, gateway } = await beside({
      admission: memoryAdmission({ messageRate: { count: 1, perMs: 1_000_000 } }),
    });
    await ask();
    await ask({ chunks: 4 });
    expect(told("check")).toMatchObject([
      { effect: "allow", admission: [{ verdict: "allow" }] },
      {
        effect: "allow",
        admission: [{ verdict: "would_reject", reason: "MESSAGE_RATE" }, { verdict: "allow" }],
      },
    ]);
    expect(provider.calls).toEqual([]);
    expect(Object.values(gateway.shadow.skipped)).toEqual([0, 0, 0, 0, 0]);
  });

  it("take nothing of the limits of those who are answered", async () => {
    const admission = memoryAdmission({ messageRate: { count: 1, perMs: 1_000_000 } });
    const { ask, guard } = await beside({ admission });
    await ask();
    expect(await guard.run({ messages: [] }, { subject: "ann" })).toMatchObject({
      status: "SUCCEEDED",
    });
  });

  it.each<[string, Partial<RawRequest>, RequestHandler[]]>([
    ["read by the handler", {}, []],
    ["in chunks", { chunks: 7 }, []],
    ["packed", { body: gzipSync(chatBody), headers: { "content-encoding": "gzip" } }, []],
    ["read by a parser before", {}, [json]],
    ["in chunks, read by a parser before", { chunks: 7 }, [json]],
    ["read as text before", {}, [express.text({ type: "*/*" })]],
    ["read as bytes before", {}, [express.raw({ type: "*/*" })]],
  ])("see a body that is %s", async (_, asked, before) => {
    const seen: unknown[] = [];
    const legacy: RequestHandler =
      before.length === 0 ? answers : (_req, res) => void res.json({ reply: "legacy" });
    const attributes = (_req: unknown, input: ChatInput) => {
      seen.push(input);
      return {};
    };
    const { ask } = await beside({}, { attributes, legacy }, before);
    await ask(asked);
    expect(seen).toEqual([{ messages: [{ role: "user", content: "hello" }] }]);
  });

  it("see a body as it was before the handler changed it", async () => {
    const seen: unknown[] = [];
    const attributes = (_req: unknown, { messages }: ChatInput) => {
      seen.push(messages.length);
      return {};
    };
    const { ask } = await beside({}, { attributes, legacy: emptying }, [json]);
    await ask();
    expect(seen).toEqual([1]);
  });
});

describe("a mirror", () => {
  it("asks the model, and compares its answer with the handler's", async () => {
    const { ask, told, provider } = await beside({}, { shadow: { ...mirror, equal: ["reply"] } });
    await ask();
    await vi.waitFor(() => expect(provider.calls).toHaveLength(1), { interval: 1 });
    expect(told("parity")).toMatchObject([
      {
        figures: {
          legacyValid: true,
          mirrorValid: true,
          equal: { reply: true },
          similarity: 1,
          lengthDifference: 0,
        },
      },
    ]);
  });

  it("compares with an answer that comes in pieces, and with what was sent, packed or not", async () => {
    const { ask, told } = await beside(
      {},
      { legacy: inPieces, shadow: { ...mirror, equal: ["reply"] } },
    );
    await ask();
    expect(told("parity")).toMatchObject([
      { figures: { legacyValid: true, equal: { reply: false } } },
    ]);
  });

  it("compares with none that is too long, or not complete", async () => {
    const long = await beside({}, { shadow: { ...mirror, answerLimitBytes: 10 } });
    await long.ask();
    const broken = await beside(
      {},
      {
        shadow: mirror,
        legacy: (req, res) => {
          req.resume().on("end", () => res.write("some", () => res.destroy()));
        },
      },
    );
    await broken.ask();
    expect(long.provider.calls).toHaveLength(1);
    for (const { told } of [long, broken]) expect(told("parity")).toEqual([]);
  });
});

describe("what is not looked at is counted", () => {
  const large = JSON.stringify({ messages: "x".repeat(100_000) });
  it.each<[string, string, Partial<RawRequest>, RequestHandler[], RequestHandler?]>([
    ["too_large", "by its length", { body: large }, []],
    ["too_large", "in chunks", { body: large, chunks: 9 }, []],
    ["too_large", "parsed", { body: large }, [json]],
    ["too_large", "parsed from chunks", { body: large, chunks: 9 }, [json]],
    ["too_large", "packed", { body: gzipSync(large), headers: { "content-encoding": "gzip" } }, []],
    ["unread", "by its handler", {}, [], (_req, res) => void res.end("done")],
    ["unread", "by its handler's end", {}, [], (_req, res) => void res.destroy()],
    ["invalid", "a form", { headers: { "content-type": "text/plain" } }, []],
    ["invalid", "no JSON", { body: "{" }, []],
    ["invalid", "no chat", { body: '{"messages":[]}' }, []],
    ["invalid", "nothing", { body: "" }, []],
    ["invalid", "packed in no way", { headers: { "content-encoding": "gzip" } }, []],
    ["invalid", "a GET", { method: "GET", body: "" }, []],
    [
      "failed",
      "by what a parser left",
      {},
      [
        (req, _res, next) => {
          req.body = { n: 1n };
          next();
        },
      ],
    ],
  ])("as %s: %s", async (cause, _, asked, before, legacy = answers) => {
    const { ask, gateway, told } = await beside({}, { legacy }, before);
    await ask(asked);
    const counted = Object.entries(gateway.shadow.skipped).filter(([, count]) => count > 0);
    expect(counted).toEqual([[cause, 1]]);
    expect(told("check")).toEqual([]);
  });

  it("as failed: functions of the application that throw", async () => {
    for (const options of [{ subject: fail }, { attributes: fail }, { run: fail }]) {
      const { ask, gateway } = await beside({}, options);
      expect(await ask()).toContain("a good answer");
      expect(gateway.shadow.skipped).toMatchObject({ failed: 1 });
    }
  });

  it("I6 as busy: as many are watched as may be, and the next is answered as ever", async () => {
    const waiting: (() => void)[] = [];
    const legacy: RequestHandler = async (req, res) => {
      await read(req);
      waiting.push(() => res.end("done"));
      if (waiting.length > 1) for (const end of waiting.splice(0)) end();
    };
    const { port, gateway, idle } = await beside({}, { legacy, shadow: { maxWatched: 1 } });
    const first = rawAnswer(port, { path: "/" });
    await vi.waitFor(() => expect(waiting).toHaveLength(1), { interval: 1 });
    const second = await rawAnswer(port, { path: "/" });
    expect(second).toBe(await first);
    await idle();
    expect(gateway.shadow.skipped).toMatchObject({ busy: 1 });
  });
});

it("I6 a piece reaches the client while the handler is still at work, as without a shadow", async () => {
  const received = Promise.withResolvers<void>();
  const legacy: RequestHandler = async (req, res) => {
    await read(req);
    res.write("first");
    await received.promise;
    res.end("second");
  };
  const { port, idle } = await beside({}, { legacy, shadow: mirror });
  const sent = request({ port, method: "POST", headers: { "content-type": "application/json" } });
  sent.end(chatBody);
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  const pieces: string[] = [];
  response.on("data", (chunk: Buffer) => {
    pieces.push(String(chunk));
    received.resolve();
  });
  await once(response, "end");
  expect(pieces).toEqual(["first", "second"]);
  await idle();
});

it("I4 a client that leaves ends what is beside it", async () => {
  for (const shadow of [{}, mirror]) {
    const { port, idle, gateway } = await beside({}, { legacy: unending, shadow });
    const sent = request({ port, method: "POST", headers: { "content-type": "application/json" } });
    sent.on("error", () => undefined);
    sent.on("response", () => sent.destroy());
    sent.end(chatBody);
    await vi.waitFor(() => expect(sent.closed).toBe(true), { interval: 1 });
    await idle();
    expect(gateway.shadow.mirrors).toBe(0);
  }
});

it("I6 a request whose client has gone before is the handler's alone", async () => {
  const reached = Promise.withResolvers<void>();
  const { port, gateway } = await beside(
    {},
    {
      legacy: (_req, res) => {
        res.end();
        reached.resolve();
      },
    },
    [json, untilGone],
  );
  const sent = request({ port, method: "POST", headers: { "content-type": "application/json" } });
  sent.on("error", () => undefined);
  sent.end(chatBody, () => setImmediate(() => sent.destroy()));
  await reached.promise;
  expect(gateway.shadow.watched).toBe(0);
});
