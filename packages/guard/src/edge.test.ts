import { ConfigError, defineContract, FailureCode, Reason } from "@sluice/contract";
import { describe, expect, it } from "vitest";
import * as edge from "./edge.ts";
import * as node from "./index.ts";

const theSame = { ConfigError, defineContract, FailureCode, Reason };

describe("the package on the edge runtime", () => {
  it("has the same names", () => {
    expect(Object.keys(edge).toSorted()).toEqual(Object.keys(node).toSorted());
  });

  it("has what needs no Node", () => {
    expect(edge).toMatchObject(theSame);
  });

  it.each(Object.entries(edge).filter(([name]) => !Object.hasOwn(theSame, name)))(
    "says of %s what to use instead",
    (name, call) => {
      const called = call as () => never;
      expect(called).toThrow(ConfigError);
      expect(called).toThrow('export const runtime = "nodejs"');
      expect(called).toThrow(name);
    },
  );
});
