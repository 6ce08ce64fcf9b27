import { describe, expect, it } from "vitest";
import { fromFetchError } from "./from-fetch-error.ts";

const withCode = (code: string, more: object = {}) =>
  Object.assign(new Error("secret"), { code, ...more });
const fetchFailed = (cause: Error) => new TypeError("fetch failed", { cause });

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
    expect(fromFetchError(fetchFailed(cause))).toEqual({
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
    expect(fromFetchError(fetchFailed(cause))).toEqual({
      ok: false,
      code: "PROVIDER_UNAVAILABLE",
      dispatched: true,
    });
  });

  it("that took too long to stand was not dispatched", () => {
    expect(fromFetchError(fetchFailed(withCode("UND_ERR_CONNECT_TIMEOUT")))).toEqual({
      ok: false,
      code: "PROVIDER_TIMEOUT",
      dispatched: false,
    });
  });

  it("whose answer took too long may have been", () => {
    expect(fromFetchError(fetchFailed(withCode("UND_ERR_HEADERS_TIMEOUT")))).toEqual({
      ok: false,
      code: "PROVIDER_TIMEOUT",
      dispatched: true,
    });
  });

  it("whose causes go in a circle has a reply", () => {
    const error = new TypeError("x");
    Object.assign(error, { cause: error });
    expect(fromFetchError(error)).toMatchObject({ code: "PROVIDER_UNAVAILABLE" });
  });
});

describe("any other error", () => {
  it.each([
    ["an abort", new DOMException("secret", "AbortError")],
    ["a redirect", fetchFailed(new Error("unexpected redirect"))],
    ["an error of a fetch of the application's own", new Error("secret")],
    ["a string", "secret"],
    ["nothing", undefined],
  ])("%s may be of a request that was dispatched", (_, error) => {
    const code = "PROVIDER_UNAVAILABLE";
    expect(fromFetchError(error)).toEqual({ ok: false, code, dispatched: true });
  });

  it("of ours, in writing the request, is no failure of the provider", () => {
    const code = "INTERNAL";
    const error = new TypeError("Invalid header value");
    expect(fromFetchError(error)).toEqual({ ok: false, code, dispatched: false });
  });
});
