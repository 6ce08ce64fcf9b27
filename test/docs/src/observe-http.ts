import { gzipSync } from "node:zlib";
import { failureCodes, type AdmissionStore } from "@sluice/contract";
import { guardRoute, type GuardRouteOptions } from "@sluice/express";
import { createGuard, memoryAdmission, staticFlags } from "@sluice/guard";
import {
  errorReply,
  fakeProvider,
  sampleAnswer,
  sampleFeature,
  valueReply,
  type FakeCall,
} from "@sluice/testkit";
import express, { type Express } from "express";
import request from "supertest";
import { z } from "zod";
import { ask } from "./ask.ts";

const input = z.object({ prompt: z.string() });
export const greeting = { prompt: "hello" };
type Input = z.output<typeof input>;

export interface RouteOptions {
  readonly onCall?: (call: FakeCall<Input>) => void;
  readonly onFailure?: "failed" | "stub";
  readonly enabled?: boolean;
  readonly admission?: AdmissionStore;
  readonly route?: Partial<GuardRouteOptions<Input, unknown, unknown, unknown>>;
}

/** An application with one guarded route, `POST /`. */
export function serveRoute(options: RouteOptions = {}): Express {
  const { onCall = (call) => call.reply(valueReply(sampleAnswer)), enabled = true } = options;
  const guard = createGuard({
    ...sampleFeature,
    onFailure: options.onFailure ?? "failed",
    provider: { ...fakeProvider<Input>({ onCall }), inputTokens: () => 1 },
    flags: staticFlags({ sample_ai: { enabled } }),
    sinks: [() => undefined],
    ...(options.admission === undefined ? {} : { admission: options.admission }),
    ...(options.admission?.countsBudgets === true ? { budget: { maxOutputTokens: 100 } } : {}),
  });
  const route = { subject: () => "someone", input, ...options.route };
  return express().post("/", guardRoute(guard, route));
}

/** One message a minute: the second one is rejected. */
export const oneAMinute = (): AdmissionStore =>
  memoryAdmission({ messageRate: { count: 1, perMs: 60_000 } });

export const unavailable: AdmissionStore = { ...oneAMinute(), acquire: () => "unavailable" };

/** The statuses that a guarded route gives, by what the page calls their cause. */
export async function observeStatuses(): Promise<ReadonlyMap<string, readonly number[]>> {
  const failing = async (onFailure: "failed" | "stub"): Promise<number[]> => {
    // A client that went away reads no answer.
    const read = failureCodes.filter((code) => code !== "CLIENT_ABORTED");
    const statuses = read.map(async (code) => {
      const app = serveRoute({ onFailure, onCall: (call) => call.reply(errorReply(code)) });
      return (await ask(app, "/", greeting)).status;
    });
    return Promise.all(statuses);
  };
  const limited = serveRoute({ admission: oneAMinute() });
  await ask(limited, "/", greeting);
  const app = serveRoute({ route: { bodyLimitBytes: 100 } });
  const send = async (type: string, body: string | Buffer, encoding?: string): Promise<number> => {
    const sent = request(app).post("/").set("content-type", type);
    if (encoding !== undefined) void sent.set("content-encoding", encoding);
    return (await sent.send(body)).status;
  };
  const json = "application/json";
  const observed: readonly (readonly [string, readonly number[]])[] = [
    ["`SUCCEEDED`", [(await ask(serveRoute(), "/", greeting)).status]],
    ["`STUBBED`", [(await ask(serveRoute({ enabled: false }), "/", greeting)).status]],
    ["`FAILED`, policy `failed`", await failing("failed")],
    ["`FAILED`, policy `stub`", await failing("stub")],
    [
      "`REJECTED`",
      [
        (await ask(limited, "/", greeting)).status,
        (await ask(serveRoute({ admission: unavailable }), "/", greeting)).status,
      ],
    ],
    [
      "body not `application/json` (or `+json`), or of an unknown encoding",
      [await send("text/plain", "hello"), await send(json, gzipSync("{}"), "zstandard")],
    ],
    ["body over `bodyLimitBytes`", [(await ask(app, "/", { prompt: "x".repeat(100) })).status]],
    [
      "body not JSON, or not of the expected form",
      [await send(json, "{"), (await ask(app, "/", {})).status],
    ],
  ];
  return new Map(
    observed.map(([cause, statuses]) => [cause, [...new Set(statuses)].toSorted((a, b) => a - b)]),
  );
}
