import { APIError } from "openai";
import { describe, expect, it } from "vitest";
import { failureOfThrow } from "./failure-of-throw.ts";

const quota = { code: "insufficient_quota", type: "insufficient_quota", message: "secret" };
const openaiError = (status: number | undefined, error: object, headers: Record<string, string>) =>
  APIError.generate(status, { error }, "secret", new Headers(headers));

describe("an error that a function threw", () => {
  it("S14 of the OpenAI client is what the upstream said", () => {
    expect(failureOfThrow(openaiError(429, quota, {}))).toEqual({
      ok: false,
      code: "PROVIDER_QUOTA",
      dispatched: true,
      httpStatus: 429,
    });
    expect(failureOfThrow(openaiError(429, { code: "x" }, { "retry-after": "7" }))).toMatchObject({
      code: "PROVIDER_RATE_LIMITED",
      retryAfterMs: 7000,
    });
  });

  it("S14 of the OpenAI client in the middle of a stream has no status", () => {
    const error = new APIError(undefined, quota, "secret", undefined);
    expect(failureOfThrow(error)).toEqual({ ok: false, code: "PROVIDER_QUOTA", dispatched: true });
  });

  it.each<[what: string, more: object]>([
    ["its text", { responseBody: JSON.stringify({ error: quota }) }],
    ["its data", { data: { error: quota } }],
  ])("S14 of the AI SDK is what the upstream said in %s", (_, more) => {
    const headers = { "retry-after": "7" };
    const error = Object.assign(new Error("secret"), {
      statusCode: 429,
      responseHeaders: headers,
      ...more,
    });
    const failure = { code: "PROVIDER_QUOTA", httpStatus: 429, retryAfterMs: 7000 };
    expect(failureOfThrow(error)).toMatchObject(failure);
    expect(failureOfThrow(Object.assign(new Error("retried"), { lastError: error }))).toMatchObject(
      failure,
    );
  });

  it.each<[thrown: unknown, code: string]>([
    [{ status: 429, code: "insufficient_quota" }, "PROVIDER_QUOTA"],
    [{ status: 401 }, "PROVIDER_AUTH"],
    [{ statusCode: 400, responseBody: "<html>" }, "PROVIDER_BAD_REQUEST"],
    [{ response: { status: 429, data: { error: quota }, headers: {} } }, "PROVIDER_QUOTA"],
    [{ status: 429, headers: { "not a name": "\n" } }, "PROVIDER_RATE_LIMITED"],
    [Object.assign(new Error("flagged"), { code: "ECONNRESET" }), "PROVIDER_UNAVAILABLE"],
    [new Error("was flagged"), "PROVIDER_UNAVAILABLE"],
    ["secret", "PROVIDER_UNAVAILABLE"],
    [undefined, "PROVIDER_UNAVAILABLE"],
  ])("S14 %j is %s, without its text", (thrown, code) => {
    const failure = failureOfThrow(thrown);
    expect(failure.code).toBe(code);
    expect(JSON.stringify(failure)).not.toMatch(/secret|flagged/);
  });
});
