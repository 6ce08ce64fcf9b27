import {
  FailureCode,
  type ProviderEvent,
  type ProviderReply,
  type ToolCall,
  type Usage,
} from "@sluice/contract";

/** A stream's events as the reply that they come to. */
export function toReply(events: readonly ProviderEvent[]): ProviderReply {
  const text: string[] = [];
  const toolCalls: ToolCall[] = [];
  let usage: Usage | undefined;
  for (const event of events) {
    switch (event.type) {
      case "text-delta":
        text.push(event.text);
        break;
      case "tool-call":
        toolCalls.push(event.call);
        break;
      case "usage":
        usage = event.usage;
        break;
      case "failed":
        return { ...event.failure, usage: event.failure.usage ?? usage };
      case "finish":
        return {
          ok: true,
          output: { kind: "text", text: text.join("") },
          ...(toolCalls.length === 0 ? {} : { toolCalls }),
          usage,
        };
      case "reasoning-delta":
      case "progress":
    }
  }
  return { ok: false, code: FailureCode.STREAM_CUT, dispatched: true, usage };
}

/** A reply that came in one piece, as the events of a stream. */
export function toEvents(reply: ProviderReply): readonly ProviderEvent[] {
  if (!reply.ok) return [{ type: "failed", failure: reply }];
  const { output, toolCalls = [], usage } = reply;
  const text = output.kind === "text" ? output.text : JSON.stringify(output.value);
  return [
    ...(text === "" ? [] : [{ type: "text-delta", text } as const]),
    ...toolCalls.map((call) => ({ type: "tool-call", call }) as const),
    ...(usage === undefined ? [] : [{ type: "usage", usage } as const]),
    { type: "finish" },
  ];
}
