import { expect, it, vi } from "vitest";
import { createListeners } from "./listeners.ts";

it("tells every listener, also after one that throws", () => {
  const listeners = createListeners<[number]>();
  const last = vi.fn<(...told: number[]) => void>();
  listeners.add(() => {
    throw new Error("mine alone");
  });
  listeners.add(last);
  listeners.tell(7);
  expect(last).toHaveBeenCalledExactlyOnceWith(7);
});

it("tells nobody who left", () => {
  const listeners = createListeners<[]>();
  const left = vi.fn<(...told: number[]) => void>();
  listeners.add(left)();
  listeners.tell();
  expect(left).not.toHaveBeenCalled();
});
