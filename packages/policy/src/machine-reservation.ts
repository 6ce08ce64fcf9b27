import {
  costNanoUsd,
  type BudgetAsk,
  type SharedReply,
  type SharedReservation,
} from "@sluice/contract";
import type { AdmissionMachine, MachineRequest } from "./admission-machine.ts";
import type { MachineReservation } from "./day-budgets.ts";

/** Asked anew for each call: the day may have ended since the last. */
type CurrentRequest = () => Omit<MachineRequest, "nowMs">;

/** Sets a call's worst case aside by the counts of one process. */
export function reserveOnMachine(
  machine: AdmissionMachine,
  request: CurrentRequest,
  budget: BudgetAsk,
): SharedReply | "unavailable" {
  const reply = machine.further(request(), budget);
  if (reply === "full") return "unavailable";
  if (!reply.granted) return reply;
  return {
    granted: true,
    reservation: machineReservation(machine, request, budget, reply.reservation),
  };
}

/** What a machine set aside, as a reservation. */
export function machineReservation(
  machine: AdmissionMachine,
  request: CurrentRequest,
  budget: BudgetAsk,
  taken: MachineReservation,
): SharedReservation {
  const { inputTokens, price } = budget;
  const { outputTokens } = taken;
  let isOpen = true;
  const end = (how: () => void): void => {
    if (isOpen) how();
    isOpen = false;
  };
  return {
    inputTokens,
    outputTokens,
    costNanoUsd: price === undefined ? 0 : costNanoUsd({ inputTokens, outputTokens }, price),
    settle: (usage) => end(() => machine.settle(taken, usage)),
    void: () => end(() => machine.void(taken)),
    further: (more) => reserveOnMachine(machine, request, more),
  };
}
