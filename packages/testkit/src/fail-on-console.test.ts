import { expect, test, vi } from "vitest";

test.fails("a stray console call fails its test", () => {
  expect.assertions(0);
  // oxlint-disable-next-line no-console -- the planted call
  console.warn("stray");
});

test.fails("a stray console call fails its test even where its caller catches everything", () => {
  expect.assertions(0);
  try {
    // oxlint-disable-next-line no-console -- the planted call
    console.error("stray");
  } catch {}
});

test("an expected console call passes under a spy", () => {
  const warn = vi.spyOn(console, "warn").mockReturnValue(undefined);
  // oxlint-disable-next-line no-console -- expected
  console.warn("expected");
  expect(warn).toHaveBeenCalledExactlyOnceWith("expected");
  warn.mockRestore();
});
