import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { watchBody, type PassedBody } from "./watch-body.ts";

const chunk = fc.uint8Array({ minLength: 1, maxLength: 20 });

/** A source that gives what it is asked for, counts it, and may fail at its end. */
function sourceOf(chunks: readonly Uint8Array[], fault: Error | undefined) {
  let at = 0;
  let cancelled: unknown;
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const next = chunks[at];
        at += 1;
        if (next !== undefined) controller.enqueue(new Uint8Array(next));
        else if (fault === undefined) controller.close();
        else controller.error(fault);
      },
      cancel(reason) {
        cancelled = reason;
      },
    },
    { highWaterMark: 0 },
  );
  const reader = body.getReader();
  return {
    read: () => reader.read(),
    cancel: (reason: unknown) => reader.cancel(reason),
    asked: () => at,
    cancelled: () => cancelled,
  };
}

describe("a body that passes by", () => {
  it("I6 is the same chunk by chunk, read no faster than its reader, cancelled with it", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(chunk, { maxLength: 8 }),
        fc.boolean(),
        fc.nat({ max: 10 }),
        fc.nat({ max: 100 }),
        async (chunks, fails, reads, limit) => {
          const fault = fails ? new Error("cut") : undefined;
          const source = sourceOf(chunks, fault);
          const ends: PassedBody[] = [];
          const reader = watchBody(source, limit, (end) => ends.push(end)).getReader();
          const got: Uint8Array[] = [];
          let caught: unknown;
          let how: "read" | "done" | "failed" = "read";
          for (let i = 0; i < reads && how === "read"; i += 1) {
            expect(source.asked()).toBe(i);
            try {
              const read = await reader.read();
              if (read.done) how = "done";
              else {
                got.push(read.value.slice());
                // Whoever reads may do with it what it likes.
                read.value.fill(0);
              }
            } catch (error) {
              caught = error;
              how = "failed";
            }
          }
          expect(caught).toBe(how === "failed" ? fault : undefined);
          expect(got).toEqual(chunks.slice(0, got.length));
          if (how === "read") await reader.cancel("enough");
          expect(source.cancelled()).toBe(how === "read" ? "enough" : undefined);
          const bytes = got.flatMap((piece) => [...piece]);
          expect(ends).toEqual([
            {
              bytes: bytes.length > limit ? undefined : new Uint8Array(bytes),
              complete: how === "done",
            },
          ]);
        },
      ),
    );
  });
});
