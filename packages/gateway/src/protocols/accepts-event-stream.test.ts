import { describe, expect, it } from "vitest";
import { acceptsEventStream } from "./accepts-event-stream.ts";

describe("an Accept header", () => {
  it.each([
    "text/event-stream",
    "Text/Event-Stream",
    "text/event-stream, application/json",
    "text/event-stream, */*",
    "*/*, text/event-stream",
    "text/*, application/json;q=0.9",
    "application/json;q=0.5, text/event-stream;q=0.6",
    "text/event-stream;charset=utf-8",
    "application/json;q=0, text/*",
  ])("%s prefers server-sent events", (accept) => {
    expect(acceptsEventStream(accept)).toBe(true);
  });

  it.each([
    undefined,
    "",
    "*/*",
    "application/json",
    "application/json, text/event-stream",
    "text/html, */*",
    "text/*, */*;q=0, application/json",
    "text/event-stream;q=0",
    "text/event-stream;q=0, */*",
    "text/event-stream;q=0.5, application/json",
    "text/event-stream;q=nonsense",
    "text",
    ",;=,/",
  ])("%s does not", (accept) => {
    expect(acceptsEventStream(accept)).toBe(false);
  });
});
