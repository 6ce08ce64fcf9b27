import { describe, expect, it } from "vitest";
import { causesOf, mayHaveConnected } from "./connection-error.ts";

const failed = (cause: object): Error =>
  new TypeError("fetch failed", { cause: Object.assign(new Error("planted"), cause) });

describe("an error of a connection", () => {
  it.each([
    { code: "ECONNREFUSED" },
    { code: "ENOTFOUND" },
    { code: "EAI_AGAIN" },
    { code: "UND_ERR_CONNECT_TIMEOUT" },
    { code: "ETIMEDOUT", syscall: "connect" },
    { syscall: "getaddrinfo" },
  ])("says that no byte left: %j", (cause) => {
    expect(mayHaveConnected(failed(cause))).toBe(false);
  });

  it.each([{ code: "ECONNRESET", syscall: "read" }, { code: "UND_ERR_SOCKET" }, {}])(
    "does not say so: %j",
    (cause) => {
      expect(mayHaveConnected(failed(cause))).toBe(true);
    },
  );

  it("is looked for among causes that go in a circle, and in what is no error", () => {
    const error = new Error("planted");
    error.cause = error;
    expect(causesOf(error)).toHaveLength(5);
    expect(causesOf("ECONNREFUSED")).toEqual([]);
    expect(mayHaveConnected({ code: "ECONNREFUSED" })).toBe(true);
  });
});
