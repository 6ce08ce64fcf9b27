import { once } from "node:events";
import { createServer } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { setImmediate as immediate, setTimeout as sleep } from "node:timers/promises";
import { defineContract, FailureCode, type Provider, type ProviderEvent } from "@sluice/contract";
import { guardRoute } from "@sluice/express";
import { createGuard, staticFlags } from "@sluice/guard";
import {
  delta,
  lacksRedisServer,
  privateRedis,
  seededRandom,
  type PrivateRedis,
} from "@sluice/testkit";
import express from "express";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { z } from "zod";
import { isAdmitted, startMember, type Member } from "./redis-member.ts";

const streams = 10_000;
const atOnce = 50;
/** About what a whole answer has, its head included. */
const answerBytes = 2500;

const contract = defineContract({
  ok: z.object({ status: z.literal("OK"), text: z.string() }),
  failed: z.object({ status: z.literal("FAILED"), code: z.enum(FailureCode) }),
  stub: z.object({ status: z.literal("STUB") }),
  text: { field: "text", maxChars: 1_000_000 },
});

const provider: Provider<string> = {
  name: "first",
  inputTokens: () => 10,
  generate: () => Promise.reject(new Error("it was asked for a stream")),
  async *stream({ signal }): AsyncGenerator<ProviderEvent> {
    for (let piece = 0; piece < 20 && !signal.aborted; piece += 1) {
      yield delta("a piece of the answer, ");
      await immediate();
    }
    yield { type: "usage", usage: { inputTokens: 10, outputTokens: 40 } };
    yield { type: "finish" };
  },
};

/** A route on a port of its own. */
async function serve({ store }: Member): Promise<number> {
  const guard = createGuard({
    feature: "streams_ai",
    contract,
    failed: ({ code }: { readonly code: FailureCode }) => ({ status: "FAILED", code }) as const,
    stub: () => ({ status: "STUB" }) as const,
    onFailure: "failed",
    route: { providers: [provider], candidates: [{ provider: "first" }] },
    flags: staticFlags({ streams_ai: { enabled: true } }),
    budget: { callsPerRun: 100_000, tokensPerRun: 100_000_000, maxOutputTokens: 100 },
    admission: store,
    timeoutMs: 10_000,
    openTelemetry: false,
  });
  const app = express();
  app.post(
    "/",
    guardRoute(guard, {
      subject: () => "anna",
      input: z.object({ text: z.string() }).transform(({ text }) => text),
      stream: true,
    }),
  );
  const server = createServer(app).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    guard.close();
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const body = JSON.stringify({ text: "how are you?" });
const request = [
  "POST / HTTP/1.1",
  "host: localhost",
  "accept: text/event-stream",
  "content-type: application/json",
  `content-length: ${body.length}`,
  "connection: close",
  "",
  body,
].join("\r\n");

/** Sends a request and is gone after so many bytes, of its own or of the answer; tells how many came. */
const leaveAfter = (port: number, bytes: number): Promise<number> =>
  new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    let received = 0;
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(received));
    const part = request.slice(0, bytes);
    socket.write(part, () => {
      if (part.length < request.length) socket.resetAndDestroy();
    });
    socket.on("data", (chunk) => {
      received += chunk.length;
      if (request.length + received >= bytes) socket.resetAndDestroy();
    });
  });

describe.skipIf(lacksRedisServer())("streams counted in Redis", { timeout: 120_000 }, () => {
  let redis: PrivateRedis;
  beforeAll(async () => {
    redis = await privateRedis();
  });
  afterAll(() => redis.remove());
  const start = async (options: Parameters<typeof startMember>[1]): Promise<Member> => {
    const member = startMember(redis.url, options);
    onTestFinished(() => member.end());
    await member.ready();
    return member;
  };

  it(`I4 of ${streams} that are left at some byte none stays counted, nor reserved`, async () => {
    const member = await start({
      deadlineMs: 2000,
      userInFlight: { limit: 10_000 },
      globalInFlight: { limit: 10_000 },
      globalBudget: { tokens: 1_000_000_000 },
    });
    const port = await serve(member);
    const random = seededRandom(5);
    const places = Array.from({ length: streams }, () =>
      Math.ceil(random.next() * (request.length + answerBytes)),
    );
    let answered = 0;
    const visitor = async (): Promise<void> => {
      for (let bytes = places.pop(); bytes !== undefined; bytes = places.pop()) {
        if ((await leaveAfter(port, bytes)) > 0) answered += 1;
      }
    };
    await Promise.all(Array.from({ length: atOnce }, visitor));
    // Else nothing was tried.
    expect(answered).toBeGreaterThan(streams / 2);

    await vi.waitFor(
      async () => {
        await member.store.flush();
        const keys = (await redis.cli("keys", `*${member.namespace}*`)).split("\n");
        // Redis deletes a set that is empty.
        expect(keys.filter((name) => name.endsWith(":in"))).toEqual([]);
        // A subject in flight, and an open reservation, would be a field with a longer name.
        const lists = keys.filter((name) => name.includes(":in:users"));
        const days = keys.filter((name) => /:day:[^:]*$/.test(name));
        expect([lists.length, days.length]).toEqual([1, 1]);
        for (const key of [...lists, ...days]) {
          const fields = (await redis.cli("hkeys", key)).split("\n");
          expect(fields.filter((field) => field.length > 1)).toEqual([]);
        }
      },
      { timeout: 15_000, interval: 100 },
    );
    expect(member.store.state()).toMatchObject({ leases: 0, dropped: 0 });
  });

  it("I4 a host that never tells of an abort has its slot back after the lease", async () => {
    const leaseMs = 400;
    const member = await start({ leaseMs, globalInFlight: { limit: 1 }, deadlineMs: 2000 });
    const held = await member.store.acquire("anna");
    expect(isAdmitted(held)).toBe(true);
    expect(isAdmitted(await member.store.acquire("bea"))).toBe(false);
    await sleep(leaseMs + 100);
    expect(isAdmitted(await member.store.acquire("bea"))).toBe(true);
  });
});
