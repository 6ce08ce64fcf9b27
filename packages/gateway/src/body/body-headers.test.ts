import { describe, expect, it } from "vitest";
import { charsetOf, contentLengthOf, hasBody, isJson } from "./body-headers.ts";

it.each([
  ["application/json", true],
  ["application/json;charset=utf-8", true],
  [" Application/JSON ; charset=utf-8", true],
  ["application/problem+json", true],
  ["application/jsonx", false],
  ["application/x/json", false],
  ["text/json", false],
  ["text/plain; application/json", false],
  ["", false],
])("a body of %o is JSON: %s", (type, expected) => {
  expect(isJson({ "content-type": type })).toBe(expected);
});

it("a body of no type is no JSON", () => {
  expect(isJson({})).toBe(false);
});

it.each([
  ["application/json", "utf-8"],
  ["application/json; charset=UTF-16LE", "utf-16le"],
  ['application/json; a=b; Charset = "utf-8"; c=d', "utf-8"],
  ["application/json; xcharset=koi8-r", "utf-8"],
])("the charset of %o is %s", (type, expected) => {
  expect(charsetOf({ "content-type": type })).toBe(expected);
});

describe("a request has a body", () => {
  it("if it says so", () => {
    expect(hasBody({ "content-length": "0" })).toBe(true);
    expect(hasBody({ "transfer-encoding": "chunked" })).toBe(true);
    expect(hasBody({})).toBe(false);
  });

  it("of a length that is a number, or of none that is known", () => {
    expect(contentLengthOf({ "content-length": "12" })).toBe(12);
    expect(contentLengthOf({ "content-length": "1e3" })).toBeUndefined();
    expect(contentLengthOf({})).toBeUndefined();
  });
});
