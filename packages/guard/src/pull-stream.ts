import {
  FailureCode,
  type ProviderEvent,
  type ProviderFailure,
  type ProviderReply,
  type ToolCall,
  type Usage,
} from "@sluice/contract";
import type { AnswerText } from "./answer-text.ts";
import { defect, isToolCall, isUsage, parseReply } from "./parse-reply.ts";
import type { Running } from "./running.ts";

/** Above it a model has lost itself; an answer that is held back must not fill the memory. */
const maxToolCalls = 128;

/** Events taken before others get their turn: a stream that never waits must not stop the clocks. */
const eventsInARow = 1024;

const failure = (code: FailureCode, usage: Usage | undefined): ProviderFailure => ({
  ok: false,
  code,
  dispatched: true,
  usage,
});

/**
 * Reads a provider's stream to its end, one event at a time, and only as fast as the answer's reader
 * takes it. A stream that ends without a terminal event was cut; one that throws is defective.
 */
export async function pullStream<In>(
  stream: AsyncIterable<ProviderEvent>,
  running: Running<In>,
  answer: AnswerText,
): Promise<ProviderReply> {
  const toolCalls: ToolCall[] = [];
  running.streams();
  const iterator = stream[Symbol.asyncIterator]();
  const leave = (): void => {
    void leaveStream(iterator);
  };
  running.signal.addEventListener("abort", leave, { once: true });
  try {
    for (let taken = 1; ; taken += 1) {
      if (taken % eventsInARow === 0) {
        await turnOfOthers();
        if (running.cause !== undefined) return defect;
      }
      const next = await iterator.next();
      // Nobody looks at what comes after a stop.
      if (running.cause !== undefined) return defect;
      if (next.done === true) return failure(FailureCode.STREAM_CUT, running.seen.usage);
      const event: unknown = next.value;
      if (!isEvent(event)) return defect;
      switch (event.type) {
        case "text-delta": {
          if (event.text === "") {
            running.progress();
            break;
          }
          running.content(Buffer.byteLength(event.text, "utf8"));
          const room = answer.push(event.text);
          if (room === "refused")
            return failure(FailureCode.OUTPUT_SCHEMA_INVALID, running.seen.usage);
          if (room !== undefined && (await isStopped(running, room))) return defect;
          break;
        }
        case "reasoning-delta": {
          running.progress();
          const room = answer.reasoning?.push(event.text);
          if (room !== undefined && (await isStopped(running, room))) return defect;
          break;
        }
        case "tool-call":
          running.content(Buffer.byteLength(event.call.arguments, "utf8"));
          toolCalls.push(event.call);
          if (toolCalls.length > maxToolCalls) return defect;
          break;
        case "progress":
          running.progress();
          break;
        case "usage":
          // In no such form it is none, as in an answer that comes whole.
          if (isUsage(event.usage)) running.told(event.usage);
          else running.progress();
          break;
        case "finish":
          return {
            ok: true,
            output: { kind: "text", text: answer.ofAttempt() },
            toolCalls,
            usage: running.seen.usage,
          };
        case "failed": {
          const reply = parseReply(event.failure);
          return reply.ok ? defect : { ...reply, usage: reply.usage ?? running.seen.usage };
        }
      }
    }
  } finally {
    running.signal.removeEventListener("abort", leave);
    leave();
  }
}

/** Waits until the reader has made room; whether the call was stopped meanwhile. */
async function isStopped<In>(running: Running<In>, room: Promise<void>): Promise<boolean> {
  running.awaitsReader(true);
  await room;
  if (running.cause !== undefined) return true;
  running.awaitsReader(false);
  return false;
}

function turnOfOthers(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

async function leaveStream(iterator: AsyncIterator<unknown>): Promise<void> {
  try {
    await iterator.return?.();
  } catch {
    // It was left; how it takes that is its own affair.
  }
}

/** JavaScript, or another copy of the contract, may know other events. */
function isEvent(event: unknown): event is ProviderEvent {
  if (typeof event !== "object" || event === null) return false;
  const { type, text, call } = event as Readonly<Record<string, unknown>>;
  switch (type) {
    case "text-delta":
    case "reasoning-delta":
      return typeof text === "string";
    case "tool-call":
      return isToolCall(call);
    case "usage":
    case "progress":
    case "finish":
    case "failed":
      return true;
    default:
      return false;
  }
}
