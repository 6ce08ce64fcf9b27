import type { Hold, HoldEnd } from "@sluice/contract";
import { expect, it } from "vitest";
import { releaseHolds } from "./holds.ts";

const kinds = ["reservation", "permit", "lease"] as const;

it("I4 gives holds back in reverse order, once, with how the work ended", () => {
  const released: [string, HoldEnd][] = [];
  const holds: Hold[] = kinds.map((kind) => ({
    kind,
    release: (end) => released.push([kind, end]),
  }));
  const end: HoldEnd = { how: "settle", health: "success" };
  const threw: string[] = [];
  releaseHolds(holds, end, (kind) => threw.push(kind));
  releaseHolds(holds, end, (kind) => threw.push(kind));
  expect(threw).toEqual([]);
  expect(released).toEqual([
    ["lease", end],
    ["permit", end],
    ["reservation", end],
  ]);
});

it("I4 gives the others back although one throws, and says which did", () => {
  const released: string[] = [];
  const threw: string[] = [];
  const holds: Hold[] = kinds.map((kind) => ({
    kind,
    release() {
      if (kind === "permit") throw new Error("planted");
      released.push(kind);
    },
  }));
  releaseHolds(holds, { how: "void" }, (kind) => threw.push(kind));
  expect(released).toEqual(["lease", "reservation"]);
  expect(threw).toEqual(["permit"]);
});
