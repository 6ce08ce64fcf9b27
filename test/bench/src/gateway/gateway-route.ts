import { chatGateway } from "@sluice/express";
import type { RequestHandler } from "express";
import { bareChat } from "./bare-chat.ts";
import { inMemory, inRedis, thatHangs, type ChatAdmission } from "./chat-admission.ts";
import { chatGuard } from "./chat-guard.ts";
import type { RouteFigures } from "./route-figures.ts";
import type { FailingKind, RouteKind } from "./route-kinds.ts";
import { stageVariables, type StageName } from "./stage-variables.ts";

type GatewayKind = Exclude<RouteKind, "bare" | "portkey" | "sdk"> | FailingKind;

export interface GatewayRoute {
  readonly handler: RequestHandler;
  /** The flags are read live. */
  setStage(stage: StageName): void;
  figures(): Promise<Pick<RouteFigures, "inFlight" | "places" | "shadow">>;
}

interface Shadowed {
  readonly mirrorShare: number;
  readonly random?: () => number;
}

const stages: Readonly<Record<GatewayKind, StageName>> = {
  legacy: "legacy",
  checks: "shadow",
  mirror: "shadow",
  memory: "authoritative",
  redis: "authoritative",
  "provider hangs": "shadow",
  "store hangs": "shadow",
  "all throws": "shadow",
};

const shadows: Readonly<Record<GatewayKind, Shadowed>> = {
  legacy: { mirrorShare: 0 },
  checks: { mirrorShare: 0 },
  mirror: { mirrorShare: 0.05 },
  memory: { mirrorShare: 0 },
  redis: { mirrorShare: 0 },
  "provider hangs": { mirrorShare: 1 },
  "store hangs": { mirrorShare: 1 },
  "all throws": { mirrorShare: 1, random: fail },
};

/** The bare route's handler as the legacy one, with the gateway before it. */
export async function gatewayRoute(
  kind: GatewayKind,
  upstream: { readonly baseUrl: string; readonly hangingUrl: string; readonly redisUrl: string },
): Promise<GatewayRoute> {
  const variables = stageVariables(stages[kind]);
  const admission = await admissionOf(kind, upstream.redisUrl);
  const throws = kind === "all throws";
  let asked = 0;
  const guard = chatGuard({
    baseUrl: kind === "provider hangs" ? upstream.hangingUrl : upstream.baseUrl,
    variables,
    admission: admission.store,
    ...(throws ? { observers: { sinks: [fail], metrics: fail } } : {}),
  });
  const handler = chatGateway({
    guard,
    legacy: bareChat(upstream.baseUrl),
    // So that what throws after it has its turn too.
    subject: (req) => (throws && (asked += 1) % 2 === 0 ? fail() : (req.get("x-user") ?? "user-1")),
    shadow: { ...shadows[kind], costNanoUsdPerDay: 1_000_000_000_000, equal: ["reply"] },
  });
  return {
    handler,
    setStage: (stage) => void Object.assign(variables, stageVariables(stage)),
    async figures() {
      const { watched, mirrors, skipped } = handler.shadow;
      const left = Object.values(skipped).reduce((sum, count) => sum + count, 0);
      return {
        inFlight: guard.inFlight,
        places: await admission.places(),
        shadow: { watched, mirrors, skipped: left },
      };
    },
  };
}

function admissionOf(kind: GatewayKind, redisUrl: string): ChatAdmission | Promise<ChatAdmission> {
  if (kind === "redis") return inRedis(redisUrl);
  return kind === "store hangs" ? thatHangs() : inMemory();
}

function fail(): never {
  throw new Error("bench: this one always throws");
}
