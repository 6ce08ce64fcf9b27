import type { ServerResponse } from "node:http";
import { queryObjects } from "node:v8";
import type { Outcome } from "@sluice/contract";
import type { UpstreamAnswer } from "@sluice/testkit";
import { expect, it, vi } from "vitest";
import { beginStream, contentFrame, endFrames, usage } from "./chat-wire.ts";
import { startGuardBench, type GuardBench } from "./guard-bench.ts";
import { watchProcess } from "./watch-process.ts";

watchProcess();

const streams = 200;
const pieces = 10;
const piece = "a piece of the answer, ";

/** As those leave who read: by the loop, by the stream, by the request; and two who never began. */
const ways = ["breaks the loop", "cancels", "aborts", "cancels at once", "never reads"] as const;
type Way = (typeof ways)[number] | "stays";

const wayOf = (index: number): Way =>
  index % 10 === 0 ? (ways[(index / 10) % ways.length] ?? "stays") : "stays";

/** The question says how it is read; only to those who stay is there an end. */
const answer: UpstreamAnswer = (res, { body }) => {
  res.setHeader("connection", "close");
  beginStream(res);
  if (body.includes("stays")) void sendPieces(res, pieces).then(() => res.end(endFrames));
  else void sendPieces(res, Number.POSITIVE_INFINITY);
};

async function sendPieces(res: ServerResponse, count: number): Promise<void> {
  for (let sent = 0; sent < count && !res.destroyed; sent += 1) {
    const { promise, resolve } = Promise.withResolvers<void>();
    res.once("close", resolve);
    // After the write has left, at a pace at which readers can be told apart.
    res.write(contentFrame(piece), () => setTimeout(resolve, 5));
    await promise;
    res.off("close", resolve);
  }
}

async function read(
  { guard }: GuardBench,
  index: number,
): Promise<{
  readonly way: Way;
  readonly text: string;
  readonly outcome: Outcome<unknown, unknown, unknown>;
}> {
  const way = wayOf(index);
  const controller = new AbortController();
  const { signal } = controller;
  const stream = guard.stream(way, { subject: `subject ${index}`, run: "run", signal });
  let text = "";
  if (way === "cancels at once") stream.cancel();
  else if (way !== "never reads") {
    for await (const event of stream) {
      if (event.type === "text-delta") text += event.text;
      if (way === "breaks the loop") break;
      if (way === "cancels") stream.cancel();
      if (way === "aborts") controller.abort();
    }
  }
  return { way, text, outcome: await stream.outcome };
}

const endOf = (outcome: Outcome<unknown, unknown, unknown>): string =>
  outcome.status === "FAILED" ? outcome.failure.code : outcome.status;

/** What a leak would leave behind, counted after a full collection. */
const left = (): Readonly<Record<string, number>> => ({
  signals: queryObjects(AbortSignal, { format: "count" }),
  bodies: queryObjects(ReadableStream, { format: "count" }),
  responses: queryObjects(Response, { format: "count" }),
  timers: process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length,
  sockets: process.getActiveResourcesInfo().filter((kind) => kind === "TCPSocketWrap").length,
});

async function expectRound(bench: GuardBench, round: number): Promise<void> {
  const { guard, admission, reservedTokens } = bench;
  const read200 = Array.from({ length: streams }, (_, index) => read(bench, index));
  const answers = await Promise.all(read200);
  expect(answers.map(({ way, outcome }) => [way, endOf(outcome)])).toEqual(
    answers.map(({ way }) => [way, way === "stays" ? "SUCCEEDED" : "CLIENT_ABORTED"]),
  );
  const whole = answers.flatMap(({ way, text }) => (way === "stays" ? [text] : []));
  expect(whole).toEqual(Array.from({ length: 180 }, () => piece.repeat(pieces)));
  await bench.expectLetGo();
  expect(guard.inFlight).toBe(0);

  const leases = Array.from({ length: streams }, () => admission.acquire("ann"));
  for (const lease of leases) {
    expect(lease).toMatchObject({ admitted: true });
    if (typeof lease === "object" && "admitted" in lease && lease.admitted) lease.lease.release();
  }

  // Who left is charged the prompt and what was seen, or nothing where nothing was sent.
  const { calls, tokens } = guard.budget.use("run");
  const stayed = whole.length;
  const vanished = streams - stayed;
  const ofVanished = tokens - stayed * usage.total_tokens * round;
  expect(calls).toBeLessThanOrEqual(streams * round);
  expect(calls).toBeGreaterThanOrEqual((stayed + vanished * (4 / 5)) * round);
  expect(ofVanished).toBeGreaterThan(0);
  expect(ofVanished).toBeLessThanOrEqual(vanished * reservedTokens * round);
  expect(bench.health()["first"]).toEqual({ breaker: "closed", cools: false });
}

it("I4 I12 of 200 streams at once one in ten loses its reader: nothing is held, nothing stays", {
  timeout: 30_000,
}, async () => {
  const bench = await startGuardBench({
    mode: "text stream",
    inFlight: streams,
    stream: { bufferBytes: 256, stallMs: 200 },
  });
  try {
    bench.first.answerWith(answer);
    for (let round = 1; round <= 3; round += 1) await expectRound(bench, round);
    // 600 streams leave next to nothing. What fetch has in finalizers goes after the collection.
    await vi.waitFor(
      () => {
        for (const [what, count] of Object.entries(left())) expect(count, what).toBeLessThan(10);
      },
      { timeout: 10_000, interval: 200 },
    );
  } finally {
    await bench.close();
  }
});
