import { describe, expect, it } from "vitest";
import { fromErrorBody } from "./from-error-body.ts";

describe("an error's body", () => {
  it("S28 of Google's says how long to wait", () => {
    const details = [
      { "@type": "type.googleapis.com/google.rpc.Help" },
      { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "34s" },
    ];
    const error = { code: 429, status: "RESOURCE_EXHAUSTED", message: "Quota exceeded", details };
    expect(fromErrorBody([{ error }], { status: 429 })).toMatchObject({
      code: "PROVIDER_RATE_LIMITED",
      retryAfterMs: 34_000,
    });
  });

  it.each([
    { __type: "com.amazon.coral.service#ThrottlingException" },
    { __type: "ThrottlingException" },
    { type: "ThrottlingException" },
  ])("S16 of Bedrock's, %j, is a rate limit", (body) => {
    expect(fromErrorBody({ ...body, message: "x" }, { status: 400 })).toMatchObject({
      code: "PROVIDER_RATE_LIMITED",
      httpStatus: 400,
    });
  });

  it.each([
    [429, "PROVIDER_RATE_LIMITED"],
    [503, "PROVIDER_UNAVAILABLE"],
    [undefined, "PROVIDER_BAD_REQUEST"],
  ])("S16 of a model behind Bedrock has its status %s", (originalStatusCode, code) => {
    expect(fromErrorBody({ message: "x", originalStatusCode }, { status: 424 })).toMatchObject({
      code,
      httpStatus: 424,
    });
  });

  it("S23 of arrays in arrays is unwrapped once", () => {
    let body: unknown = { error: { code: "insufficient_quota" } };
    for (let depth = 0; depth < 100_000; depth += 1) body = [body];
    expect(fromErrorBody(body, { status: 429 })).toMatchObject({ code: "PROVIDER_RATE_LIMITED" });
  });
});
