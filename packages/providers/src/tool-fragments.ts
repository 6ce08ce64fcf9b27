import type { ToolCall } from "@sluice/contract";
import { listOf, objectOf, wordOf, type JsonObject } from "./narrow-json.ts";

interface Slot {
  readonly index: unknown;
  id: string | undefined;
  name: string | undefined;
  /** Joined once, at the end. */
  readonly parts: string[];
}

/** Tool calls as they arrive, whole or in parts. */
export interface ToolFragments {
  /** Takes `tool_calls` and the older `function_call` of a message or of a delta. */
  take(message: JsonObject): void;
  /** All calls that have a name, in the order in which they began. */
  calls(): readonly ToolCall[];
}

/**
 * Parts belong together by their index (OpenAI). Where hosts leave it out, or give each call the index 0,
 * a name with another id begins another call. A call without arguments has an empty object of them, one
 * without an id a made one.
 * Source: https://platform.openai.com/docs/api-reference/chat-streaming/streaming#delta-tool_calls
 */
export function toolFragments(): ToolFragments {
  const slots: Slot[] = [];

  function slotFor(index: unknown, id: string | undefined, name: string | undefined): Slot {
    const known =
      typeof index === "number"
        ? slots.findLast((slot) => slot.index === index)
        : id !== undefined
          ? slots.findLast((slot) => slot.id === id)
          : name === undefined
            ? slots.at(-1)
            : undefined;
    if (known !== undefined && !isAnother(known, id, name)) return known;
    const slot = { index, id, name, parts: [] };
    slots.push(slot);
    return slot;
  }

  function fragment(index: unknown, id: string | undefined, told: JsonObject): void {
    const name = wordOf(told["name"]);
    const slot = slotFor(index, id, name);
    slot.id ??= id;
    slot.name ??= name;
    const args = told["arguments"];
    if (typeof args === "string") slot.parts.push(args);
    // Ollama and others send the parsed object.
    else if (typeof args === "object" && args !== null) slot.parts.push(toJson(args));
  }

  return {
    take(message) {
      for (const call of listOf(message["tool_calls"])) {
        const { index, id, function: told } = objectOf(call);
        fragment(index, wordOf(id), objectOf(told));
      }
      const legacy = message["function_call"];
      if (typeof legacy === "object" && legacy !== null) {
        fragment("function_call", undefined, objectOf(legacy));
      }
    },
    calls() {
      return slots.flatMap(({ id, name, parts }, at) =>
        name === undefined
          ? []
          : [{ id: id ?? `call_${at}`, name, arguments: parts.join("") || "{}" }],
      );
    },
  };
}

function isAnother(slot: Slot, id: string | undefined, name: string | undefined): boolean {
  return slot.name !== undefined && name !== undefined && id !== undefined && slot.id !== id;
}

/** What is nested beyond what a stack holds is no arguments of any tool. */
function toJson(args: object): string {
  try {
    return JSON.stringify(args);
  } catch {
    return "null";
  }
}
