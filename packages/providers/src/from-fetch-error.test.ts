import { APIConnectionError, APIConnectionTimeoutError, APIUserAbortError } from "openai";
import { describe, expect, it } from "vitest";
import { fromOpenaiError } from "./from-openai-error.ts";

const withCode = (code: string, more: object = {}) =>
  Object.assign(new Error("secret"), { code, ...more });
const fetchFailed = (cause: Error) => new TypeError("fetch failed", { cause });
const connection = (cause: Error) =>
  new APIConnectionError({ message: "secret", cause: fetchFailed(cause) });

describe("an error of the connection", () => {
  it.each<[what: string, cause: Error]>([
    ["ECONNREFUSED of connect", withCode("ECONNREFUSED", { syscall: "connect" })],
    ["EHOSTUNREACH of connect", withCode("EHOSTUNREACH", { syscall: "connect" })],
    ["ENETUNREACH of connect", withCode("ENETUNREACH", { syscall: "connect" })],
    ["ETIMEDOUT of connect", withCode("ETIMEDOUT", { syscall: "connect" })],
    ["ENOTFOUND of getaddrinfo", withCode("ENOTFOUND", { syscall: "getaddrinfo" })],
    ["EAI_AGAIN of getaddrinfo", withCode("EAI_AGAIN", { syscall: "getaddrinfo" })],
    [
      "of each address of a name",
      Object.assign(new AggregateError([withCode("ECONNREFUSED")]), { code: "ECONNREFUSED" }),
    ],
  ])("before it stood is one of a request that was not dispatched: %s", (_, cause) => {
    expect(fromOpenaiError(connection(cause))).toEqual({
      ok: false,
      code: "PROVIDER_UNAVAILABLE",
      dispatched: false,
    });
  });

  it.each<[what: string, cause: Error]>([
    ["ECONNRESET of read", withCode("ECONNRESET", { syscall: "read" })],
    ["EPIPE of write", withCode("EPIPE", { syscall: "write" })],
    ["EHOSTUNREACH of read", withCode("EHOSTUNREACH", { syscall: "read" })],
    ["of the socket", withCode("UND_ERR_SOCKET")],
    ["any other", new Error("other")],
  ])("after it stood may be one of a request that was: %s", (_, cause) => {
    expect(fromOpenaiError(connection(cause))).toEqual({
      ok: false,
      code: "PROVIDER_UNAVAILABLE",
      dispatched: true,
    });
  });

  it("that took too long to stand was not dispatched", () => {
    const cause = fetchFailed(withCode("UND_ERR_CONNECT_TIMEOUT"));
    const error = Object.assign(new APIConnectionTimeoutError(), { cause });
    expect(fromOpenaiError(error)).toEqual({
      ok: false,
      code: "PROVIDER_TIMEOUT",
      dispatched: false,
    });
  });

  it("whose answer took too long may have been", () => {
    const cause = fetchFailed(withCode("UND_ERR_HEADERS_TIMEOUT"));
    const error = Object.assign(new APIConnectionTimeoutError(), { cause });
    expect(fromOpenaiError(error)).toEqual({
      ok: false,
      code: "PROVIDER_TIMEOUT",
      dispatched: true,
    });
  });

  it("whose causes go in a circle has a reply", () => {
    const error = new APIConnectionError({ message: "x" });
    Object.assign(error, { cause: error });
    expect(fromOpenaiError(error)).toMatchObject({ code: "PROVIDER_UNAVAILABLE" });
  });
});

describe("any other error", () => {
  it.each([
    [
      "a body that ended early",
      new TypeError("terminated", { cause: withCode("UND_ERR_SOCKET") }),
      "STREAM_CUT",
    ],
    ["a body that ended early, for no reason told", new TypeError("terminated"), "STREAM_CUT"],
    ["a body that is no JSON", new SyntaxError("secret"), "PROVIDER_UNAVAILABLE"],
    ["an abort", new APIUserAbortError(), "PROVIDER_UNAVAILABLE"],
    ["a string", "secret", "PROVIDER_UNAVAILABLE"],
    ["nothing", undefined, "PROVIDER_UNAVAILABLE"],
  ])("%s may be of a request that was dispatched", (_, error, code) => {
    expect(fromOpenaiError(error)).toEqual({ ok: false, code, dispatched: true });
  });

  it("of ours, in writing the request, is no failure of the provider", () => {
    expect(fromOpenaiError(new TypeError("Invalid header value"))).toMatchObject({
      code: "INTERNAL",
    });
  });
});
