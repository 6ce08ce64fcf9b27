import { failureCodes, type AdmissionStore } from "@sluice/contract";
import { fetchGateway, type ChatInput } from "@sluice/gateway";
import { createGuard, defineContract, staticFlags } from "@sluice/guard";
import { errorReply, fakeProvider, textReply, type FakeCall } from "@sluice/testkit";
import { z } from "zod";
import { oneAMinute, unavailable } from "./observe-http.ts";

const contract = defineContract({
  ok: z.object({ status: z.literal("OK"), reply: z.string() }),
  failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
  text: { field: "reply" },
});

interface GatewayOptions {
  readonly onCall?: (call: FakeCall<ChatInput>) => void;
  readonly onFailure?: "failed" | "stub";
  readonly enabled?: boolean;
  readonly stage?: "legacy" | "shadow" | "authoritative";
  readonly admission?: AdmissionStore;
  readonly hasLegacy?: boolean;
  readonly meta?: boolean;
}

/** No status that a gateway gives. */
const legacyStatus = 203;

/** A gateway of a Fetch host: its handler, and what is behind it. */
export function openGateway(options: GatewayOptions = {}) {
  const { onCall = (call) => call.reply(textReply("Hello.")), enabled = true, admission } = options;
  const { stage = "authoritative", hasLegacy = true, onFailure = "failed", meta = false } = options;
  const switches = {
    FF_CHAT_GATEWAY_ENABLED: stage !== "legacy",
    FF_CHAT_GATEWAY_SHADOW: stage === "shadow",
    FF_ADMISSION_ENFORCE: true,
    ADMISSION_ENFORCE_GLOBAL_MSG_RATE: true,
    FF_FAIL_CLOSED_ON_REDIS_ERROR: true,
  };
  const guard = createGuard({
    feature: "sample_ai",
    contract,
    failed: ({ code }) => ({ status: "FAILED", code }),
    stub: (_chat: ChatInput) => ({ status: "OK", reply: "the safe path" }),
    route: {
      providers: [fakeProvider<ChatInput>({ name: "one", onCall })],
      candidates: [{ provider: "one", promptTemplateVersion: "v1" }],
    },
    flags: staticFlags({ sample_ai: { enabled } }, { switches }),
    onFailure,
    retry: { maxRetries: 0 },
    openTelemetry: false,
    sinks: [() => undefined],
    ...(admission === undefined ? {} : { admission }),
  });
  return fetchGateway({
    guard,
    subject: () => "someone",
    meta,
    ...(hasLegacy
      ? { legacy: () => new Response("the legacy one", { status: legacyStatus }) }
      : {}),
  });
}

const asked = [{ role: "user", content: "Hello?" }];

/** A good body of each protocol. */
export const bodies = {
  json: { messages: asked },
  "ui-message-stream": {
    messages: [{ id: "1", role: "user", parts: [{ type: "text", text: "Hi" }] }],
  },
  openai: { model: "any", messages: asked },
} as const;
/** One that each of them refuses, and by which it is still known. */
const wrong = {
  json: { messages: [] },
  "ui-message-stream": { messages: [], trigger: "submit-message" },
  openai: { model: "any", messages: [] },
} as const;
const protocols = Object.keys(bodies) as (keyof typeof bodies)[];
type Protocol = (typeof protocols)[number];

export function askGateway(
  gateway: ReturnType<typeof openGateway>,
  body: object = bodies.json,
): Response | Promise<Response> {
  const headers = { "content-type": "application/json" };
  const init = { method: "POST", headers, body: JSON.stringify(body) };
  return gateway(new Request("http://app.test/api/chat", init));
}

/** What a row of the page says: the statuses of each protocol, and who the header says has answered. */
export type GatewayRow = ReadonlyMap<Protocol | "sluice-path", string>;

/** How a gateway answers, by what the page calls the request. */
export async function observeGateway(): Promise<ReadonlyMap<string, GatewayRow>> {
  const rows = new Map<string, GatewayRow>();

  const observe = async (
    request: string,
    open: () => readonly ReturnType<typeof openGateway>[],
    sent: Readonly<Record<Protocol, object>> = bodies,
  ): Promise<void> => {
    const row = new Map<Protocol | "sluice-path", string>();
    const paths = new Set<string>();
    for (const protocol of protocols) {
      const statuses = new Set<number>();
      for (const gateway of open()) {
        const response = await askGateway(gateway, sent[protocol]);
        statuses.add(response.status);
        const path = response.headers.get("sluice-path");
        paths.add(path === null ? "none" : `\`${path}\``);
        await response.body?.cancel();
      }
      row.set(protocol, inWords([...statuses]));
    }
    row.set("sluice-path", [...paths].join(", "));
    rows.set(request, row);
  };

  const failing = (onFailure: "failed" | "stub") => () =>
    // A client that went away reads no answer.
    failureCodes
      .filter((code) => code !== "CLIENT_ABORTED")
      .map((code) => openGateway({ onFailure, onCall: (call) => call.reply(errorReply(code)) }));
  const draining = openGateway();
  await draining.gateway.drain();

  await observe("in the stages `legacy` and `shadow`", () => [
    openGateway({ stage: "legacy" }),
    openGateway({ stage: "shadow" }),
  ]);
  await observe("the same without a legacy handler", () => [
    openGateway({ stage: "legacy", hasLegacy: false }),
    openGateway({ stage: "shadow", hasLegacy: false }),
  ]);
  await observe("is `SUCCEEDED`", () => [openGateway()]);
  await observe("is diverted", () => [openGateway({ enabled: false })]);
  await observe("the same without a legacy handler, `STUBBED`", () => [
    openGateway({ enabled: false, hasLegacy: false }),
  ]);
  await observe("is `FAILED`, policy `failed`", failing("failed"));
  await observe("is `FAILED`, policy `stub`", failing("stub"));
  await observe("is `REJECTED`", () => [
    openGateway({ admission: spent() }),
    openGateway({ admission: unavailable }),
  ]);
  await observe("has a wrong body", () => [openGateway()], wrong);
  await observe(
    "has a wrong body, and would be diverted",
    () => [openGateway({ enabled: false })],
    wrong,
  );
  await observe("comes while the gateway drains", () => [draining]);
  return rows;
}

/** The subject has sent its one message. */
export function spent(): AdmissionStore {
  const store = oneAMinute();
  void store.acquire("someone");
  return store;
}

const inWords = (statuses: readonly number[]): string =>
  statuses.length === 1 && statuses[0] === legacyStatus
    ? "the legacy handler's"
    : statuses.toSorted((a, b) => a - b).join(" or ");
