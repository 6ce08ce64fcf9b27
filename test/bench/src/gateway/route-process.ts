import type { AddressInfo } from "node:net";
import express, { type RequestHandler } from "express";
import { cpuMs } from "../stream/cpu-ms.ts";
import { heldBytes } from "../stream/held-memory.ts";
import { bareChat } from "./bare-chat.ts";
import { gatewayRoute, type GatewayRoute } from "./gateway-route.ts";
import type { RouteFigures } from "./route-figures.ts";
import type { FailingKind, RouteKind } from "./route-kinds.ts";
import { sdkChat } from "./sdk-chat.ts";
import type { StageName } from "./stage-variables.ts";

/** One route of those measured, in a process of its own; told a stage it takes it, else it tells its figures. */
const [kind, upstreamPort, portkeyPort, redisUrl = ""] = process.argv.slice(2) as [
  RouteKind | FailingKind,
  string,
  string,
  string?,
];
const upstreamUrl = `http://127.0.0.1:${upstreamPort}`;
const baseUrl = `${upstreamUrl}/v1`;

function portkey(): RequestHandler {
  return bareChat(`http://127.0.0.1:${portkeyPort}/v1`, {
    "x-portkey-provider": "openai",
    "x-portkey-custom-host": baseUrl,
  });
}

const bareOnes: Readonly<Record<string, () => RequestHandler>> = {
  bare: () => bareChat(baseUrl),
  portkey,
  sdk: () => sdkChat(baseUrl),
};

async function gateway(): Promise<GatewayRoute | undefined> {
  if (kind === "bare" || kind === "portkey" || kind === "sdk") return undefined;
  return gatewayRoute(kind, { baseUrl, hangingUrl: `${upstreamUrl}/hangs/v1`, redisUrl });
}

const route = await gateway();
const handler = route?.handler ?? bareOnes[kind]?.();
if (handler === undefined) throw new Error(`bench: no route ${kind}`);
const app = express().disable("x-powered-by").post("/api", handler);

/** CPU time that answering questions took. */
let askedMs = 0;

async function figures(): Promise<RouteFigures> {
  const usedMs = cpuMs();
  const held = await route?.figures();
  const told: RouteFigures = {
    cpuMs: usedMs - askedMs,
    heldBytes: heldBytes(),
    residentBytes: process.memoryUsage.rss(),
    ...(held ?? { inFlight: 0, places: 0, shadow: { watched: 0, mirrors: 0, skipped: 0 } }),
  };
  askedMs += cpuMs() - usedMs;
  return told;
}

process.on("message", (question: StageName | "figures") => {
  if (question === "figures") {
    void figures().then((told) => process.send?.(told));
    return;
  }
  route?.setStage(question);
  process.send?.(question);
});
const server = app.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
  process.send?.((server.address() as AddressInfo).port);
});
server.keepAliveTimeout = 60_000;
