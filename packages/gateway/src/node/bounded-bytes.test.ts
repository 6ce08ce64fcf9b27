import * as fc from "fast-check";
import { expect, it } from "vitest";
import { createBoundedBytes } from "./bounded-bytes.ts";

it("are what was put together, up to the limit and not a byte beyond", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 3000 })),
      fc.nat(20_000),
      fc.option(fc.nat(40_000), { nil: undefined }),
      (chunks, limitBytes, expectedBytes) => {
        const bounded = createBoundedBytes(limitBytes, expectedBytes);
        const kept: Uint8Array[] = [];
        for (const chunk of chunks) {
          const length = kept.reduce((sum, { byteLength }) => sum + byteLength, 0);
          const fits = length + chunk.byteLength <= limitBytes;
          expect(bounded.add(chunk)).toBe(fits);
          if (fits) kept.push(chunk);
        }
        expect(bounded.bytes).toEqual(Buffer.concat(kept));
        expect(bounded.bytes.buffer.byteLength).toBeLessThanOrEqual(limitBytes);
      },
    ),
  );
});

it("I12 take no more memory at first than 64 KiB, however much is said to come", () => {
  const bounded = createBoundedBytes(1_000_000, 1_000_000);
  bounded.add(Buffer.from("a"));
  expect(bounded.bytes.buffer.byteLength).toBe(65_536);
});

it("are a copy: whoever gave them may use their memory again", () => {
  const bounded = createBoundedBytes(10);
  const chunk = Buffer.from("abc");
  bounded.add(chunk);
  chunk.fill("x");
  expect(bounded.bytes.toString()).toBe("abc");
});
