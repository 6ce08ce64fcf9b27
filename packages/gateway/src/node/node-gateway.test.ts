import type { IncomingMessage, ServerResponse } from "node:http";
import { createGuard, staticFlags } from "@sluice/guard";
import {
  fakeProvider,
  sampleAnswer,
  sampleFeature,
  valueReply,
  type SampleJob,
} from "@sluice/testkit";
import { describe, expect, it, onTestFinished } from "vitest";
import { z } from "zod";
import type { Switches } from "@sluice/contract";
import { nodeGateway, type Ways } from "./node-gateway.ts";
import { serving } from "./requests-for-tests.ts";

type Legacy = (req: IncomingMessage, res: ServerResponse) => unknown;

async function served(switches: Partial<Switches>, legacy: Legacy | undefined, enabled = true) {
  const guard = createGuard({
    ...sampleFeature,
    flags: staticFlags({ sample_ai: { enabled } }, { switches }),
    provider: fakeProvider<SampleJob>({ onCall: (call) => call.reply(valueReply(sampleAnswer)) }),
    sinks: [() => undefined],
  });
  onTestFinished(() => guard.close());
  const gateway = nodeGateway({
    guard,
    subject: ({ headers }: IncomingMessage) => {
      if (headers["x-user"] === undefined) throw new Error("nobody");
      return String(headers["x-user"]);
    },
    input: z.object({ prompt: z.string() }),
    shadow: { maxWatched: 1 },
  });
  const returned: unknown[] = [];
  const port = await serving((req, res) => {
    const ways: Ways = {
      legacy: legacy && (() => legacy(req, res)),
      fail: (error) => res.writeHead(500).end(String(error)),
    };
    returned.push(gateway.handle(req, res, ways));
  });
  const post = (headers: Record<string, string> = { "x-user": "ann" }) =>
    fetch(`http://127.0.0.1:${port}/`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: '{"prompt":"hello"}',
    });
  return { post, returned, gateway };
}

const on = { FF_CHAT_GATEWAY_ENABLED: true };
const stages = [{}, { ...on, FF_CHAT_GATEWAY_SHADOW: true }];

describe("a host without a legacy handler", () => {
  it.each(stages)("has nobody who answers while the gateway does not: 503", async (switches) => {
    const { post } = await served(switches, undefined);
    const response = await post();
    expect(response.status).toBe(503);
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(await response.text()).toContain("no legacy handler");
  });

  it("gets the guard's own answers, also of what the gates divert", async () => {
    const allowed = await (await served(on, undefined)).post();
    expect([allowed.status, await allowed.json()]).toEqual([200, sampleAnswer]);
    const diverted = await (await served(on, undefined, false)).post();
    expect(diverted.headers.get("sluice-path")).toBe("stub");
    expect(await diverted.json()).toMatchObject({ status: "STUB" });
  });
});

describe("a legacy handler", () => {
  const result = Promise.resolve("its own");
  const legacy: Legacy = (_req, res) => {
    res.end("legacy");
    return result;
  };

  it.each(stages)("is given back with what it returns, in its stages", async (switches) => {
    const { post, returned } = await served(switches, legacy);
    expect(await (await post()).text()).toBe("legacy");
    expect(returned[0]).toBe(result);
  });

  it("is waited for where the gateway hands over", async () => {
    const { post, returned } = await served(on, legacy, false);
    expect(await (await post()).text()).toBe("legacy");
    expect(await returned[0]).toBeUndefined();
  });
});

it("what the application throws while the gateway is authoritative goes to the host", async () => {
  const { post, returned } = await served(on, undefined);
  const response = await post({});
  expect([response.status, await response.text()]).toEqual([500, "Error: nobody"]);
  expect(await returned[0]).toBeDefined();
});
