import { ConfigError } from "@sluice/contract";
import { describe, expect, it } from "vitest";
import * as edge from "./edge.ts";
import * as node from "./index.ts";

describe("the package on the edge runtime", () => {
  it("has the same names", () => {
    expect(Object.keys(edge).toSorted()).toEqual(Object.keys(node).toSorted());
  });

  it.each(Object.entries(edge).filter(([name]) => name !== "registerDrain"))(
    "says of %s what to use instead",
    (name, call) => {
      expect(call).toThrow(ConfigError);
      expect(call).toThrow('export const runtime = "nodejs"');
      expect(call).toThrow(name);
    },
  );

  it("drains nothing, as instrumentation runs in each runtime", () => {
    expect(edge.registerDrain()()).toBeUndefined();
  });
});
