import type { LanguageModelV4StreamPart } from "@ai-sdk/provider";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { errorFinish, guarded, params } from "../scripts/guarded.ts";
import { finishOf, finishPart, usageOf } from "../scripts/model-answers.ts";
import { openStream } from "../scripts/open-stream.ts";

/** What the upstream writes, in any order, also where it makes no sense. */
const part: fc.Arbitrary<LanguageModelV4StreamPart> = fc.constantFrom<LanguageModelV4StreamPart>(
  { type: "stream-start", warnings: [] },
  { type: "ping" },
  { type: "text-start", id: "0" },
  { type: "text-delta", id: "0", delta: "x" },
  { type: "text-delta", id: "0", delta: "" },
  { type: "text-end", id: "0" },
  { type: "reasoning-start", id: "0" },
  { type: "reasoning-delta", id: "0", delta: "x" },
  { type: "tool-call", toolCallId: "1", toolName: "f", input: "{}" },
  { type: "error", error: "Overloaded" },
  finishPart,
  { type: "finish", finishReason: finishOf("length"), usage: usageOf(undefined, undefined) },
);

type Step =
  | { readonly do: "write"; readonly part: LanguageModelV4StreamPart }
  | { readonly do: "end" | "break" | "kill" | "abort" | "cancel" | "read" | "wait" | "late" };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: part.map((written): Step => ({ do: "write", part: written })) },
  { weight: 6, arbitrary: fc.constant<Step>({ do: "read" }) },
  { weight: 4, arbitrary: fc.constant<Step>({ do: "wait" }) },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom<Exclude<Step["do"], "write">>("end", "break", "kill", "abort", "cancel", "late")
      .map((what): Step => ({ do: what })),
  },
);

/** Does the steps, then ends the upstream in case nothing has; gives what the consumer read. */
async function play(steps: readonly Step[]) {
  const upstream = openStream();
  const controller = new AbortController();
  const { model, guard, clock } = guarded(upstream.model);
  let over = false;
  const upstreamDoes = (what: () => void): void => {
    if (over) return;
    try {
      what();
    } catch {
      // It was left.
      over = true;
    }
  };
  let reader: ReadableStreamDefaultReader<LanguageModelV4StreamPart> | undefined;
  let cancelled = false;
  const reads: Promise<LanguageModelV4StreamPart | undefined>[] = [];
  const read = (from: NonNullable<typeof reader>): void => {
    reads.push(from.read().then(({ value }) => value));
  };
  const calling = Promise.resolve(
    model.doStream({ ...params, abortSignal: controller.signal }),
  ).then(
    ({ stream }) => (reader = stream.getReader()),
    () => undefined,
  );

  for (const each of steps) {
    switch (each.do) {
      case "write":
        upstreamDoes(() => upstream.write(each.part));
        break;
      case "end":
        upstreamDoes(() => upstream.end());
        over = true;
        break;
      case "break":
        upstreamDoes(() => upstream.breakOff(new TypeError("terminated")));
        over = true;
        break;
      case "kill":
        guard.kill();
        break;
      case "abort":
        controller.abort();
        break;
      case "cancel":
        if (reader !== undefined) {
          cancelled = true;
          await reader.cancel();
        }
        break;
      case "late":
        // Longer than any of the guard's clocks.
        await clock.advanceAsync(70_000);
        break;
      case "read":
        if (reader !== undefined) read(reader);
        break;
      case "wait":
        await new Promise(setImmediate);
    }
  }
  upstreamDoes(() => upstream.end());
  await calling;
  const whole: LanguageModelV4StreamPart[] = [];
  for (const value of await Promise.all(reads)) if (value !== undefined) whole.push(value);
  if (reader !== undefined) {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      whole.push(value);
    }
  }
  return { whole, opened: reader !== undefined, cancelled, guard, clock };
}

describe("I4 I13 whatever happens in whatever order", () => {
  it("a stream ends with one finish, nothing is held and no timer is left", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 24, size: "max" }), async (steps) => {
        const { whole, opened, cancelled, guard, clock } = await play(steps);
        expect(guard.inFlight).toBe(0);
        clock.advance(20);
        expect(clock.pendingTimers).toBe(0);
        const finishes = whole.filter(({ type }) => type === "finish");
        expect(finishes.length).toBe(opened && !cancelled ? 1 : Math.min(finishes.length, 1));
        if (!opened || cancelled) return;
        const last = whole.at(-1);
        expect(last?.type).toBe("finish");
        // What the guard ended itself says so.
        const own = JSON.stringify(last) === JSON.stringify(errorFinish);
        expect(own && !whole.some(({ type }) => type === "error")).toBe(false);
      }),
      { numRuns: 300 },
    );
  });
});
