import { FakeClock } from "@sluice/testkit";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createToolQueue, type ToolEntrance, type ToolWait } from "./tool-queue.ts";

const limits = fc.record({
  concurrency: fc.integer({ min: 1, max: 3 }),
  maxWaiting: fc.nat(6),
  maxWaitingBytes: fc.integer({ min: 0, max: 60 }),
  timeoutMs: fc.integer({ min: 1, max: 400 }),
});

const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("enter" as const),
      subject: fc.nat(2),
      bytes: fc.nat(20),
      withinMs: fc.option(fc.nat(300), { nil: undefined }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("leave" as const), which: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("stop" as const), which: fc.nat(9) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("advance" as const), ms: fc.nat(150) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("flip" as const) }) },
);

/** What is answered is told. */
async function settle(): Promise<void> {
  for (let i = 0; i < 5; i += 1) await Promise.resolve();
}

interface Entered {
  answers: number;
  entrance: ToolEntrance | undefined;
  stop: (() => void) | undefined;
}

describe("a tool queue over any interleaving of calls, stops, time and its switch", () => {
  it("I12 never exceeds a cap, answers everybody exactly once, and leaves nothing behind", async () => {
    await fc.assert(
      fc.asyncProperty(
        limits,
        fc.boolean(),
        fc.array(action, { maxLength: 80, size: "max" }),
        async (options, first, actions) => {
          const clock = new FakeClock();
          let enforced = first;
          const queue = createToolQueue({ ...options, clock, enforce: () => enforced });
          const entered: Entered[] = [];
          const inside = (): Entered[] => entered.filter((one) => one.entrance?.kind === "place");
          const left = new Set<Entered>();
          let waitedWhileAdvisory = false;
          let stayedAfterStop = false;
          const leave = (one: Entered): void => {
            if (one.entrance?.kind !== "place") return;
            expect(one.entrance.leave().waitMs).toBeGreaterThanOrEqual(0);
            left.add(one);
          };
          const running = (): Entered[] => inside().filter((one) => !left.has(one));

          for (const one of actions) {
            const before = queue.state().running;
            if (one.do === "enter") {
              const call: Entered = { answers: 0, entrance: undefined, stop: undefined };
              entered.push(call);
              const answer = queue.enter({
                subject: `subject-${one.subject}`,
                bytes: one.bytes,
                deadlineMs: one.withinMs && clock.monotonicMs() + one.withinMs,
                onStop(stop) {
                  call.stop = stop;
                  return () => {
                    call.stop = undefined;
                  };
                },
              });
              const take = (entrance: ToolEntrance): void => {
                call.answers += 1;
                call.entrance = entrance;
              };
              waitedWhileAdvisory ||= answer instanceof Promise && !enforced;
              if (answer instanceof Promise) void answer.then(take);
              else take(answer);
            } else if (one.do === "leave") {
              const all = running();
              const who = all[one.which % Math.max(1, all.length)];
              if (who !== undefined) leave(who);
            } else if (one.do === "stop") {
              const listening = entered.filter((call) => call.stop !== undefined);
              const who = listening[one.which % Math.max(1, listening.length)];
              const waited = queue.state().waiting;
              const isWaiting = who !== undefined && who.entrance === undefined;
              who?.stop?.();
              // At once, not in a later turn.
              stayedAfterStop ||= isWaiting && queue.state().waiting !== waited - 1;
            } else if (one.do === "advance") clock.advance(one.ms);
            else enforced = !enforced;

            const state = queue.state();
            await settle();
            expect(state.running).toBe(running().length);
            const unanswered = entered.filter((call) => call.entrance === undefined).length;
            expect(enforced || unanswered === 0).toBe(true);
            expect(!enforced || state.running <= Math.max(before, options.concurrency)).toBe(true);
            expect(!enforced || state.waiting === unanswered).toBe(true);
            expect(clock.pendingTimers).toBe(unanswered);
            expect(state.waiting).toBeLessThanOrEqual(options.maxWaiting);
            expect(state.waitingBytes).toBeLessThanOrEqual(options.maxWaitingBytes);
            expect(state.waitingBytes === 0 || state.waiting > 0).toBe(true);
          }

          while (entered.some((call) => call.entrance === undefined) || running().length > 0) {
            for (const call of running()) leave(call);
            await settle();
          }
          expect([waitedWhileAdvisory, stayedAfterStop]).toEqual([false, false]);
          expect(entered.map((call) => call.answers)).toEqual(entered.map(() => 1));
          expect(entered.every((call) => call.stop === undefined)).toBe(true);
          expect(clock.pendingTimers).toBe(0);
          clock.advance(1e9);
          expect(queue.state()).toMatchObject({ running: 0, waiting: 0, waitingBytes: 0 });
        },
      ),
      { numRuns: 300 },
    );
  });

  it("measures while it only advises exactly what it does in force", async () => {
    const arrivals = fc.array(
      fc.record({
        afterMs: fc.nat(12),
        subject: fc.nat(2),
        bytes: fc.nat(20),
        runsMs: fc.integer({ min: 1, max: 40 }),
        withinMs: fc.option(fc.nat(60), { nil: undefined }),
      }),
      { minLength: 1, maxLength: 25, size: "max" },
    );
    const anyLimits = limits.map((one) => ({ ...one, timeoutMs: Math.ceil(one.timeoutMs / 4) }));

    await fc.assert(
      fc.asyncProperty(anyLimits, arrivals, async (options, calls) => {
        const measured = async (enforced: boolean): Promise<readonly (ToolWait | undefined)[]> => {
          const clock = new FakeClock();
          const queue = createToolQueue({ ...options, clock, enforce: () => enforced });
          const waits: (ToolWait | undefined)[] = calls.map(() => undefined);
          const again: (() => void)[] = [];
          const due = new Map<number, (() => void)[]>();
          let nowMs = -1;
          const enter = (place: number): void => {
            const call = calls[place];
            if (call === undefined) return;
            const { subject, bytes, withinMs, runsMs } = call;
            const take = (entrance: ToolEntrance): void => {
              if (entrance.kind === "refused") {
                waits[place] = { waitMs: entrance.waitMs, would: entrance.reason };
              } else if (entrance.kind === "place") {
                const leave = (): void => {
                  waits[place] = entrance.leave();
                };
                again.push(leave);
                due.set(nowMs + runsMs, [...(due.get(nowMs + runsMs) ?? []), leave]);
              }
            };
            const deadlineMs = withinMs === undefined ? undefined : nowMs + withinMs;
            const answer = queue.enter({ subject: `subject-${subject}`, bytes, deadlineMs });
            if (answer instanceof Promise) void answer.then(take);
            else take(answer);
          };

          let arrivedMs = 0;
          const times = calls.map(({ afterMs }) => (arrivedMs += afterMs));
          for (;;) {
            const next = Math.min(...[...due.keys(), ...times].filter((at) => at > nowMs));
            if (next === Number.POSITIVE_INFINITY) break;
            clock.advance(next - clock.monotonicMs());
            nowMs = next;
            for (const leave of due.get(nowMs) ?? []) leave();
            await settle();
            for (const [place, at] of times.entries()) if (at === nowMs) enter(place);
            await settle();
          }
          // What could not be known at the end of a call is known now.
          clock.advance(1e6);
          for (const leave of again) leave();
          return waits;
        };
        expect(await measured(false)).toEqual(await measured(true));
      }),
      { numRuns: 500 },
    );
  });
});
