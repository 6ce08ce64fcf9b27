import type {
  AdmissionAsk,
  AdmissionLease,
  AdmissionReply,
  BudgetAsk,
  GateMode,
  SharedReply,
  ToolRateReply,
} from "@sluice/contract";
import {
  machineReservation,
  reserveOnMachine,
  type MachineReply,
  type MachineRequest,
} from "@sluice/policy";
import { lossModeOf, type RedisAdmissionSettings } from "./admission-options.ts";
import type { Leases } from "./leases.ts";
import type { LocalAdmission } from "./local-admission.ts";
import type { RemoteStore } from "./remote-store.ts";

/** What is answered without Redis, as `onLoss` says at the time. */
export interface WithoutRedis {
  acquire(subject: string, ask: AdmissionAsk | undefined): AdmissionReply | "unavailable";
  /** Another call of a request in flight. */
  reserve(subject: string, ask: AdmissionAsk, budget: BudgetAsk): SharedReply | "unavailable";
  takeTool(mode: GateMode): ToolRateReply | "unavailable";
}

type Request = Omit<MachineRequest, "nowMs">;

export function createWithoutRedis(parts: {
  readonly settings: Pick<RedisAdmissionSettings, "clock" | "onLoss">;
  readonly local: LocalAdmission;
  readonly leases: Leases;
  readonly remote: Pick<RemoteStore, "place">;
  readonly dayOf: (wallMs: number) => Request["day"];
}): WithoutRedis {
  const { settings, local, leases, remote, dayOf } = parts;
  const { clock } = settings;
  const { machine } = local;
  const lossMode = () => lossModeOf(settings.onLoss);

  const requestOf = (subject: string, asked: AdmissionAsk | undefined) => (): Request => {
    const wallMs = clock.wallMs();
    const ask = lossMode() === "open" ? local.observing(asked) : asked;
    return { subject, ask, limits: local.limits(), day: dayOf(wallMs), wallMs };
  };

  const admitted = (
    subject: string,
    ask: AdmissionAsk | undefined,
    reply: Extract<MachineReply, { admitted: true }>,
  ): AdmissionReply => {
    const { wouldRefuse, reservation } = reply;
    // Redis hears of it once it is back.
    const { id, subject: named, counted } = remote.place(subject);
    const held = leases.hold(id, named, counted);
    const lease: AdmissionLease = {
      release() {
        held.release();
        machine.release(reply.lease);
      },
      renew() {
        held.renew();
        machine.renew(reply.lease, clock.monotonicMs());
      },
    };
    const shared =
      reservation &&
      ask?.budget &&
      machineReservation(machine, requestOf(subject, ask), ask.budget, reservation);
    return {
      admitted: true,
      lease,
      reservation: shared,
      wouldRefuse,
      get states() {
        return reply.states;
      },
    };
  };

  return {
    acquire(subject, ask) {
      const mode = lossMode();
      if (mode === "closed") return "unavailable";
      const how = mode === "open" ? "observe" : "enforce";
      const reply = local.decide(how, subject, ask, dayOf(clock.wallMs()));
      // Nobody is refused for want of Redis, nor for a memory that is full.
      if (reply === "full") return mode === "local" ? "unavailable" : uncounted;
      return reply.admitted ? admitted(subject, ask, reply) : reply;
    },
    reserve(subject, ask, budget) {
      if (lossMode() === "closed") return "unavailable";
      return reserveOnMachine(machine, requestOf(subject, ask), budget);
    },
    takeTool(mode) {
      const loss = lossMode();
      if (loss === "closed") return "unavailable";
      if (loss === "open") return { allowed: true };
      const { toolRate } = local.limits();
      return machine.takeTool(toolRate && { ...toolRate, mode }, clock.monotonicMs());
    },
  };
}

const uncounted: AdmissionReply = Object.freeze({
  admitted: true,
  lease: Object.freeze({ release: () => undefined, renew: () => undefined }),
  wouldRefuse: [],
});
