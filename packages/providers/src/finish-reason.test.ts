import { describe, expect, it } from "vitest";
import { failureOfFinish, finishOf } from "./finish-reason.ts";

const codeOf = (told: unknown, refused = false): string =>
  failureOfFinish(finishOf(told), refused) ?? "ok";

describe("a finish reason", () => {
  it.each([undefined, null, "", " ", "null", "None", "NONE"])("S1 %j is not told yet", (told) => {
    expect(finishOf(told)).toBeUndefined();
  });

  it.each([
    "stop",
    "STOP",
    "tool_calls",
    "tool-calls",
    "tool_use",
    "function_call",
    "eos",
    "end_turn",
    "stop_sequence",
    "completed",
    "COMPLETE",
    "done",
    "end",
  ])("S1 %s is the answer's own end", (told) => {
    expect(codeOf(told)).toBe("ok");
  });

  it.each([
    ["length", "OUTPUT_TRUNCATED"],
    ["MAX_TOKENS", "OUTPUT_TRUNCATED"],
    ["max_output_tokens", "OUTPUT_TRUNCATED"],
    ["model_length", "OUTPUT_TRUNCATED"],
    ["content-filter", "CONTENT_FILTERED"],
    ["content_filtered", "CONTENT_FILTERED"],
    ["SAFETY", "CONTENT_FILTERED"],
    ["guardrail_intervened", "CONTENT_FILTERED"],
    ["RECITATION", "CONTENT_FILTERED"],
    ["BLOCKLIST", "CONTENT_FILTERED"],
    ["PROHIBITED_CONTENT", "CONTENT_FILTERED"],
    ["SPII", "CONTENT_FILTERED"],
    ["sensitive", "CONTENT_FILTERED"],
    ["refusal", "REFUSED"],
  ])("S1 %s is %s", (told, code) => {
    expect(codeOf(told)).toBe(code);
  });

  it.each([
    "abort",
    "cancelled",
    "timeout",
    "pause_turn",
    "error",
    "network_error",
    "ERROR_LIMIT",
    "a word of tomorrow",
    1,
    {},
  ])("S1 %j, which is no end that anybody knows, never makes an answer look whole", (told) => {
    expect(codeOf(told)).toBe("PROVIDER_UNAVAILABLE");
  });

  it("of a refusal says less than the refusal, unless a filter or an error stopped it", () => {
    expect(codeOf("stop", true)).toBe("REFUSED");
    expect(codeOf("length", true)).toBe("REFUSED");
    expect(codeOf("content_filter", true)).toBe("CONTENT_FILTERED");
    expect(codeOf("error", true)).toBe("PROVIDER_UNAVAILABLE");
  });
});
