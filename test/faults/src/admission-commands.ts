import type {
  AdmissionAsk,
  AdmissionDimension,
  AdmissionReply,
  BudgetAsk,
  SharedReply,
} from "@sluice/contract";
import type * as fc from "fast-check";
import { expect } from "vitest";
import type { ModelLimits } from "./admission-model-limits.ts";
import type { AdmissionModel } from "./admission-model.ts";
import type { World } from "./admission-world.ts";

export type Command = fc.AsyncCommand<AdmissionModel, World>;

const command = (
  name: string,
  check: (model: AdmissionModel) => boolean,
  run: (model: AdmissionModel, world: World) => Promise<void>,
): Command => ({
  check,
  async run(model, world) {
    await run(model, world);
    await assertBudgets(model, world);
  },
  toString: () => name,
});
const always = (): boolean => true;

/** One of the latest, so that most of what is ended still goes on. */
const latest = (all: readonly unknown[], which: number): number =>
  all.length - 1 - (which % all.length);
const aliveOf = ({ processes }: AdmissionModel): number[] =>
  processes.flatMap(({ isAlive }, index) => (isAlive ? [index] : []));

export interface AcquireSpec {
  readonly process: number;
  /** Asked in one turn. */
  readonly subjects: readonly string[];
  readonly ask: AdmissionAsk;
  readonly isTwice: boolean;
}

export const acquire = (spec: AcquireSpec): Command =>
  command(
    `acquire(${JSON.stringify(spec)})`,
    (model) => aliveOf(model).length > 0,
    async (model, world) => {
      const alive = aliveOf(model);
      const place = alive[spec.process % alive.length] ?? 0;
      const [process, real] = [model.processes[place], world.processes[place]];
      if (process === undefined || real === undefined) throw new Error("no such process");
      const { subjects, ask } = spec;
      const replies = await world.twice(spec.isTwice, () =>
        Promise.all(subjects.map(async (subject) => real.store.acquire(subject, ask))),
      );
      for (const [index, subject] of subjects.entries()) {
        const reply = answered(replies[index]);
        const twin = world.twin && answered(await world.twin.acquire(subject, ask));
        if (!reply.admitted && reply.states === undefined) {
          expect(reply.violated).toEqual(["message_rate"]);
          expect(reply.reason).toBe("MESSAGE_RATE");
          expect(model.mayRepeat(process, ask, reply.retryAfterMs)).toBe(true);
          expect(twin?.admitted ?? false).toBe(false);
          continue;
        }
        const expected = model.decide(process, subject, ask, reply);
        if (!reply.admitted && spec.isTwice && subjects.length > 1) {
          // Those after it were let in by the first run, so the second finds even less room for it.
          expect(reply.violated).toEqual(expect.arrayContaining([...expected.violated]));
          expect(twin?.admitted ?? false).toBe(false);
          continue;
        }
        expect(answerOf(reply)).toEqual(expected);
        if (!reply.admitted) expect(model.isRightWait(process, subject, ask, reply)).toBe(true);
        if (subjects.length === 1) assertLeft(model, subject, reply);
        if (twin !== undefined) assertAlike(reply, twin);
        if (!reply.admitted) continue;
        const both = twin?.admitted === true ? [reply, twin] : [reply];
        world.leases.push(both.map(({ lease }) => lease));
        const reservations = both.flatMap(({ reservation }) => reservation ?? []);
        if (reservations.length > 0) world.reservations.push(reservations);
      }
    },
  );

/** @param times how often it is given back; only the first counts */
export const release = (which: number, times: number, isTwice: boolean): Command =>
  command(
    `release(${which}, ${times}, ${isTwice})`,
    ({ leases }) => leases[latest(leases, which)]?.process.isAlive === true,
    async (model, world) => {
      const at = latest(model.leases, which);
      await world.twice(isTwice, async () => {
        for (let time = 0; time < times; time += 1) {
          for (const lease of world.leases[at] ?? []) lease.release();
        }
        await settled(world);
      });
      const lease = model.leases[at];
      if (lease !== undefined) model.release(lease);
    },
  );

export interface EndSpec {
  readonly which: number;
  readonly how: "settle" | "whole" | "void";
  /** Real usage, in hundredths of what was set aside. */
  readonly share: number;
  readonly isTwice: boolean;
}

export const end = (spec: EndSpec): Command =>
  command(
    `end(${JSON.stringify(spec)})`,
    ({ budgets: { calls } }) => calls[latest(calls, spec.which)]?.process.isAlive === true,
    async (model, world) => {
      const at = latest(model.budgets.calls, spec.which);
      const call = model.budgets.calls[at];
      if (call === undefined) throw new Error("no such call");
      const { how, share } = spec;
      const usage = {
        inputTokens: Math.floor((call.ask.inputTokens * share) / 100),
        outputTokens: Math.floor((call.outputTokens * share) / 100),
      };
      await world.twice(spec.isTwice, async () => {
        for (const reservation of world.reservations[at] ?? []) {
          if (how === "void") reservation.void();
          else reservation.settle(how === "settle" ? usage : undefined);
        }
        await settled(world);
      });
      model.budgets.end(call, how === "settle" ? usage : how);
    },
  );

export const further = (which: number, ask: BudgetAsk, isTwice: boolean): Command =>
  command(
    `further(${which}, ${JSON.stringify(ask)}, ${isTwice})`,
    ({ budgets: { calls } }) => calls[latest(calls, which)]?.process.isAlive === true,
    async (model, world) => {
      const at = latest(model.budgets.calls, which);
      const call = model.budgets.calls[at];
      if (call === undefined) throw new Error("no such call");
      const expected = model.budgets.further(call, ask);
      const replies = await world.twice(isTwice, () =>
        Promise.all((world.reservations[at] ?? []).map(async (one) => one.further(ask))),
      );
      for (const reply of replies) expect(grantOf(reply)).toEqual(expected);
      const granted = replies.flatMap((reply) =>
        reply !== "unavailable" && reply.granted ? [reply.reservation] : [],
      );
      if (granted.length > 0) world.reservations.push(granted);
    },
  );

/**
 * One of so many leases goes on, and says so; then as much time passes as it takes until a beat has told it.
 * This a few times over.
 */
export const heartbeats = (every: number, beats: number): Command =>
  command(`heartbeats(${every}, ${beats})`, always, async (model, world) => {
    for (let beat = 0; beat < beats; beat += 1) {
      for (const [index, lease] of model.leases.entries()) {
        if (index % every !== 0 || !lease.process.isAlive) continue;
        for (const held of world.leases[index] ?? []) held.renew();
        model.renew(lease);
      }
      await world.pass(model.beatMs);
    }
  });

export const tick = (ms: number): Command =>
  command(`tick(${ms})`, always, (_, world) => world.pass(ms));

export const midnight = (): Command =>
  command("midnight", always, (_, world) => world.overMidnight());

export const crash = (which: number): Command =>
  command(
    `crash(${which})`,
    (model) => aliveOf(model).length > 0,
    async (model, world) => {
      const alive = aliveOf(model);
      const place = alive[which % alive.length] ?? 0;
      world.processes[place]?.die();
      const process = model.processes[place];
      if (process !== undefined) model.crash(process);
    },
  );

/** Another process, whose limits and modes are others: they changed, and not everywhere yet. */
export const start = (limits: ModelLimits): Command =>
  command(
    `start(${JSON.stringify(limits)})`,
    (model) => aliveOf(model).length < 3,
    async (_, world) => world.start(limits),
  );

/** @param thenMs how much time passes before anything else happens */
export const flushData = (thenMs: number): Command =>
  command(`flush data(${thenMs})`, always, async (_, world) => {
    await world.flushData();
    if (thenMs > 0) await world.pass(thenMs);
  });

export const flushScripts = (): Command =>
  command("flush scripts", always, (_, world) => world.flushScripts());

async function settled(world: World): Promise<void> {
  await Promise.all(world.processes.map(({ store }) => store.flush()));
}

/** What stands in Redis is what the model counts, day by day. */
async function assertBudgets(model: AdmissionModel, world: World): Promise<void> {
  for (const day of new Set(model.budgets.calls.map((call) => call.day))) {
    expect(await world.readBudget(day)).toEqual(model.budgets.use("global_budget", day));
  }
}

/** What is left of each budget, a subject's own included. */
function assertLeft(model: AdmissionModel, subject: string, { states }: AdmissionReply): void {
  for (const { dimension, unit, limit, remaining } of states ?? []) {
    if (unit === undefined) continue;
    const used = model.budgets.used(dimension, dimension === "user_budget" ? subject : undefined);
    const figures = { calls: used.calls, tokens: used.tokens, nano_usd: used.costNanoUsd };
    expect([dimension, remaining]).toEqual([dimension, Math.max(0, limit - figures[unit])]);
  }
}

function answered(reply: AdmissionReply | "unavailable" | undefined): AdmissionReply {
  if (reply === undefined || reply === "unavailable") throw new Error("no answer");
  return reply;
}

function answerOf(reply: AdmissionReply) {
  return {
    admitted: reply.admitted,
    wouldRefuse: reply.wouldRefuse,
    violated: reply.admitted ? [] : reply.violated,
    outputTokens: reply.admitted ? reply.reservation?.outputTokens : undefined,
  };
}

function grantOf(reply: SharedReply | "unavailable") {
  if (reply === "unavailable") throw new Error("no answer");
  if (!reply.granted) return { reason: reply.reason };
  return { outputTokens: reply.reservation.outputTokens };
}

const isGuess = (name: AdmissionDimension): boolean => name.endsWith("_in_flight");

/** How long a place takes to become free is a guess of each; all else must be the same. */
function assertAlike(reply: AdmissionReply, twin: AdmissionReply): void {
  expect(answerOf(twin)).toEqual(answerOf(reply));
  if (reply.admitted || twin.admitted) return;
  if (reply.violated?.some(isGuess) === true) return;
  const { reason, retryAfterMs } = twin;
  expect({ reason, retryAfterMs }).toEqual({
    reason: reply.reason,
    retryAfterMs: reply.retryAfterMs,
  });
}
