import { afterAll, beforeAll, expect } from "vitest";

/** Nothing that this file's tests do may reach the process as an error that nobody took. */
export function watchProcess(): void {
  const strays: unknown[] = [];
  const note = (error: unknown): void => void strays.push(error);
  beforeAll(() => {
    process.on("unhandledRejection", note);
    process.on("uncaughtException", note);
  });
  afterAll(async () => {
    // Node tells of rejections after the microtasks of the turn that they came in.
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    process.off("unhandledRejection", note);
    process.off("uncaughtException", note);
    expect(strays).toEqual([]);
  });
}
