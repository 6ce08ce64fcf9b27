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
  /**
   * All calls in the order in which they began; undefined where one of them lacks its name. A call whose
   * host gave it no id has an empty one.
   */
  calls(): readonly ToolCall[] | undefined;
}

/**
 * Parts belong together by their index (OpenAI). Where hosts leave it out, or give each call the index 0,
 * a name with another id, or another name where there are no ids, begins another call. A call without arguments has an empty
 * object of them.
 * Source: https://platform.openai.com/docs/api-reference/chat-streaming/streaming#delta-tool_calls
 */
export function toolFragments(): ToolFragments {
  const slots: Slot[] = [];

  function slotFor(index: unknown, id: string | undefined, name: string | undefined): Slot {
    const known =
      index !== undefined && index !== null
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
        fragment(index, idOf(id), objectOf(told));
      }
      const legacy = message["function_call"];
      if (typeof legacy === "object" && legacy !== null) {
        fragment("function_call", undefined, objectOf(legacy));
      }
    },
    calls() {
      const calls: ToolCall[] = [];
      for (const { id = "", name, parts } of slots) {
        const args = parts.join("");
        // Some hosts send an empty call with each answer.
        if (name === undefined && id === "" && args === "") continue;
        if (name === undefined) return undefined;
        calls.push({ id, name, arguments: args || "{}" });
      }
      return calls;
    },
  };
}

function isAnother(slot: Slot, id: string | undefined, name: string | undefined): boolean {
  if (slot.name === undefined || name === undefined) return false;
  if (id !== undefined) return slot.id !== id;
  // A call with an id goes on without one.
  return slot.id === undefined && slot.name !== name;
}

/** Some hosts number their calls. */
function idOf(told: unknown): string | undefined {
  return typeof told === "number" ? String(told) : wordOf(told);
}

/** What is nested beyond what a stack holds is no arguments of any tool. */
function toJson(args: object): string {
  try {
    return JSON.stringify(args);
  } catch {
    return "null";
  }
}
