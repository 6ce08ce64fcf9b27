import { expect, it } from "vitest";
import { contentTypeOf } from "./content-type-of.ts";

it.each<[string, unknown]>([
  ["an object", { "x-a": "1", "Content-Type": "text/plain" }],
  ["a list of pairs", [["content-type", "text/plain"]]],
  ["a list of names and values", ["x-a", "content-type", "CONTENT-TYPE", "text/plain"]],
])("the content type is found in %s", (_, headers) => {
  expect(contentTypeOf(headers)).toBe("text/plain");
});

it.each<[unknown]>([[undefined], ["content-type"], [200], [null], [{}], [["content-type"]]])(
  "there is none in %o",
  (headers) => {
    expect(contentTypeOf(headers)).toBeUndefined();
  },
);
