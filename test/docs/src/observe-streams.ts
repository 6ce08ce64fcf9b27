import type { AddressInfo } from "node:net";
import { defineContract, failureCodes } from "@sluice/contract";
import { chatGateway, guardRoute } from "@sluice/express";
import { createGuard, defineTool, staticFlags } from "@sluice/guard";
import { delta, errorReply, fakeProvider, type FakeCall } from "@sluice/testkit";
import express, { type Express } from "express";
import { z } from "zod";
import type { ObservedStreams } from "./check-http.ts";
import { greeting, oneAMinute, unavailable, type RouteOptions } from "./observe-http.ts";

const input = z.object({ prompt: z.string() });
type Input = z.output<typeof input>;

/** The answer is a plain text. */
const contract = defineContract({
  ok: z.object({ status: z.literal("OK"), reply: z.string() }),
  failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
  text: { field: "reply" },
});

type StreamedOptions = Pick<RouteOptions, "onFailure" | "enabled" | "admission"> & {
  /** Behind a chat gateway, which tells who answered. */
  readonly isGateway?: boolean;
  readonly onCall: (call: FakeCall<Input>) => void;
};

const subject = (): string => "someone";

/** An application with one guarded route, `POST /`, that streams. */
function serveStream(options: StreamedOptions): Express {
  const { onCall, onFailure = "failed", enabled = true, admission, isGateway = false } = options;
  const switches = { FF_CHAT_GATEWAY_ENABLED: true };
  const guard = createGuard({
    feature: "sample_ai",
    contract,
    failed: ({ code }) => ({ status: "FAILED", code }),
    stub: () => ({ status: "OK", reply: "the safe path" }),
    provider: fakeProvider<Input>({ streams: true, onCall }),
    flags: staticFlags({ sample_ai: { enabled } }, { switches }),
    onFailure,
    retry: { maxRetries: 0 },
    stream: { reasoning: true },
    openTelemetry: false,
    tools: {
      look: defineTool({ description: "Looks", input: z.object({ at: z.string() }), run: () => 1 }),
    },
    sinks: [() => undefined],
    ...(admission === undefined ? {} : { admission }),
  });
  const route = isGateway
    ? chatGateway({ guard, subject, input, meta: true })
    : guardRoute(guard, { subject, input, stream: true });
  return express().post("/", route);
}

const usage = { inputTokens: 3, outputTokens: 5 };

/** A turn that calls a tool, then an answer in two pieces. */
function answer(call: FakeCall<Input>): void {
  if (call.asked.steps.length === 0) {
    const looks = { id: "call-1", name: "look", arguments: '{"at":"it"}' };
    call.emit({ type: "tool-call", call: looks }, { type: "finish" });
    return;
  }
  call.emit({ type: "reasoning-delta", text: "They greet." }, delta("Hel"), delta("lo."));
  call.emit({ type: "usage", usage }, { type: "finish" });
}

function breakOff(call: FakeCall<Input>): void {
  call.emit(delta("Hel"));
  call.cut();
}

export async function observeStreams(): Promise<ObservedStreams> {
  const statuses = new Map<string, number[]>();
  const types = new Map<string, string>();
  const events = new Map<string, Set<string>>();

  const observe = async (request: string, app: Express): Promise<void> => {
    const { status, type, body } = await askForEvents(app);
    const seen = statuses.get(request) ?? [];
    statuses.set(
      request,
      [...new Set([...seen, status])].toSorted((a, b) => a - b),
    );
    types.set(request, type);
    if (type !== "text/event-stream") return;
    for (const event of eventsIn(body)) {
      const { type: name, ...members } = event;
      const known = events.get(name) ?? new Set();
      for (const member of Object.keys(members)) known.add(member);
      events.set(name, known);
    }
  };

  await observe("flows", serveStream({ onCall: answer }));
  await observe("flows", serveStream({ onCall: breakOff }));
  await observe("flows", serveStream({ onCall: answer, isGateway: true }));
  await observe("flows", serveStream({ onCall: breakOff, isGateway: true }));
  await observe("is `STUBBED`", serveStream({ onCall: answer, enabled: false }));
  // A client that went away reads no answer, and what a kill stops is stubbed.
  const codes = failureCodes.filter((code) => code !== "CLIENT_ABORTED");
  for (const onFailure of ["failed", "stub"] as const) {
    for (const code of codes) {
      const onCall = (call: FakeCall<Input>): void =>
        call.emit({ type: "failed", failure: errorReply(code) });
      const request = `is \`FAILED\` before its first content, policy \`${onFailure}\``;
      await observe(request, serveStream({ onCall, onFailure }));
    }
  }
  const limited = serveStream({ onCall: answer, admission: oneAMinute() });
  await askForEvents(limited);
  await observe("is `REJECTED`", limited);
  await observe("is `REJECTED`", serveStream({ onCall: answer, admission: unavailable }));
  return { statuses, types, events };
}

/** The events of a body, the last of which must be terminal. */
function eventsIn(body: string): readonly { readonly type: string }[] {
  const blocks = body.split("\n\n");
  if (blocks.pop() !== "") throw new Error("the last event is not complete");
  return blocks.map((block) =>
    z.looseObject({ type: z.string() }).parse(JSON.parse(block.replace(/^data: /, ""))),
  );
}

interface Answered {
  readonly status: number;
  readonly type: string;
  readonly headers: Headers;
  readonly body: string;
}

async function askForEvents(app: Express, path = "/", asked = greeting): Promise<Answered> {
  const server = app.listen(0, "127.0.0.1");
  await new Promise((resolve) => {
    server.once("listening", resolve);
  });
  try {
    const { port } = server.address() as AddressInfo;
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "text/event-stream" },
      body: JSON.stringify(asked),
    });
    const [type = ""] = (response.headers.get("content-type") ?? "").split(";");
    return {
      status: response.status,
      type,
      headers: response.headers,
      body: await response.text(),
    };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}
