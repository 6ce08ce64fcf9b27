import { setImmediate } from "node:timers/promises";
import { Reason } from "@sluice/contract";
import { expect, it, vi } from "vitest";
import type { GateContext } from "./gate.ts";
import { optInGate } from "./opt-in.ts";

const setting = { mode: "enforce", onIndeterminate: "closed" } as const;

it.each([
  [true, "allow"],
  [false, "divert"],
  ["true", "divert"],
  [1, "divert"],
  [undefined, "divert"],
])("an answer of %j is %s", (answer, effect) => {
  const gate = optInGate<unknown>(() => answer, setting);
  expect(gate.check({} as GateContext<unknown>)).toMatchObject({ effect });
});

it("a promise is no yes, and one that rejects ends no process", async () => {
  const unhandled = vi.fn<() => void>();
  process.once("unhandledRejection", unhandled);
  const gate = optInGate<unknown>(() => Promise.reject(new Error("an async function")), setting);
  expect(gate.check({} as GateContext<unknown>)).toEqual({
    effect: "divert",
    reason: Reason.NOT_OPTED_IN,
  });
  await setImmediate();
  process.off("unhandledRejection", unhandled);
  expect(unhandled).not.toHaveBeenCalled();
});
