import { defineContract } from "@sluice/contract";
import { fetchGateway, type ChatInput, type ProtocolName } from "@sluice/gateway";
import { createGuard, defineTool, staticFlags } from "@sluice/guard";
import { delta, fakeProvider, type FakeCall } from "@sluice/testkit";
import { z } from "zod";
import { bodies } from "./observe-gateway.ts";

const contract = defineContract({
  ok: z.object({ status: z.literal("OK"), reply: z.string() }),
  failed: z.object({ status: z.literal("FAILED"), code: z.string() }),
  text: { field: "reply" },
});

/** A gateway whose model thinks, calls a tool and answers. */
function openWire(protocol: ProtocolName, onCall: (call: FakeCall<ChatInput>) => void) {
  const guard = createGuard({
    feature: "sample_ai",
    contract,
    failed: ({ code }) => ({ status: "FAILED", code }),
    stub: (_chat: ChatInput) => ({ status: "OK", reply: "the safe path" }),
    provider: fakeProvider<ChatInput>({ streams: true, onCall }),
    flags: staticFlags(
      { sample_ai: { enabled: true } },
      { switches: { FF_CHAT_GATEWAY_ENABLED: true } },
    ),
    onFailure: "failed",
    retry: { maxRetries: 0 },
    stream: { reasoning: true },
    openTelemetry: false,
    tools: {
      look: defineTool({
        description: "Looks",
        input: z.object({ at: z.string() }),
        run: () => "it",
      }),
    },
    sinks: [() => undefined],
  });
  return fetchGateway({ guard, protocol, subject: () => "someone" });
}

const lookAtIt = { id: "call-1", name: "look", arguments: '{"at":"it"}' };
const usage = { inputTokens: 3, outputTokens: 5 };

/** Says something and calls a tool, then thinks and answers. */
function answer(call: FakeCall<ChatInput>): void {
  if (call.asked.steps.length === 0) {
    call.emit(delta("Let me see. "), { type: "tool-call", call: lookAtIt }, { type: "finish" });
    return;
  }
  call.emit({ type: "reasoning-delta", text: "It is here." }, delta("Here."));
  call.emit({ type: "usage", usage }, { type: "finish" });
}

function breakOff(call: FakeCall<ChatInput>): void {
  call.emit(delta("Hel"));
  call.cut();
}

/** What the page calls the words of each protocol: types of events, or members of OpenAI's `delta`. */
export async function observeWire(): Promise<ReadonlyMap<ProtocolName, readonly string[]>> {
  const words = new Map<ProtocolName, readonly string[]>();
  const streaming = {
    json: bodies.json,
    "ui-message-stream": bodies["ui-message-stream"],
    openai: { ...bodies.openai, stream: true },
  } as const;
  for (const protocol of ["json", "ui-message-stream", "openai"] as const) {
    const seen = new Set<string>();
    for (const onCall of [answer, breakOff]) {
      const request = new Request("http://app.test/api/chat", {
        method: "POST",
        headers: { "content-type": "application/json", accept: "text/event-stream" },
        body: JSON.stringify(streaming[protocol]),
      });
      const response = await openWire(protocol, onCall)(request);
      for (const word of wordsIn(await response.text())) seen.add(word);
    }
    words.set(protocol, [...seen]);
  }
  return words;
}

const eventSchema = z.looseObject({
  type: z.string().optional(),
  choices: z.array(z.object({ delta: z.looseObject({}) })).optional(),
});

function wordsIn(body: string): readonly string[] {
  return body
    .split("\n\n")
    .filter((block) => block !== "")
    .flatMap((block) => {
      const data = block.replace(/^data: /, "");
      if (data === "[DONE]") return [data];
      const { type, choices = [] } = eventSchema.parse(JSON.parse(data));
      const members = choices.flatMap((choice) => Object.keys(choice.delta));
      return type === undefined ? members.map((name) => `delta.${name}`) : [type];
    });
}
