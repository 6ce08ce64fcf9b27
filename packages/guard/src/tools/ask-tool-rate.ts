import {
  Reason,
  type AdmissionStore,
  type Clock,
  type GuardRequest,
  type ToolRateReply,
} from "@sluice/contract";
import { admissionRules } from "@sluice/policy";
import type { GateSetting } from "../gates/gate.ts";
import { settingOfRequest } from "../gates/request-setting.ts";
import type { TurnStop } from "./turn-stop.ts";

/** A remote store has a shorter deadline of its own; this one is for a store that forgets to answer. */
const answerMs = 2000;

export type ToolRateEnd =
  | { readonly go: true; readonly would?: Reason }
  | { readonly go: false; readonly reason: Reason };

const go: ToolRateEnd = { go: true };

/** Asks whether a tool may run now; a store that gives no answer is the setting's to judge. */
export async function askToolRate(
  store: AdmissionStore | undefined,
  configured: GateSetting,
  { subject, switches }: Pick<GuardRequest, "subject" | "switches">,
  around: {
    readonly clock: Clock;
    readonly stop: TurnStop;
    /** When the request ends at the latest, by the monotonic clock. */
    readonly deadlineMs: number;
    readonly onThrow: (what: string) => void;
  },
): Promise<ToolRateEnd> {
  const setting = settingOfRequest({ switches }, configured);
  if (store?.takeTool === undefined || setting.mode === "off") return go;
  let reply: ToolRateReply | "unavailable";
  try {
    const asked = store.takeTool(subject, switches && admissionRules(switches).modes.tool_rate);
    reply = asked instanceof Promise ? await inTime(asked, around) : asked;
  } catch {
    around.onThrow("the tool rate");
    reply = "unavailable";
  }
  if (reply === "unavailable") {
    return setting.onIndeterminate === "open" ? go : refuse(setting, Reason.STORE_UNAVAILABLE);
  }
  if (!reply.allowed) return refuse(setting, reply.reason);
  return reply.would === undefined ? go : { go: true, would: reply.would };
}

function refuse({ mode }: GateSetting, reason: Reason): ToolRateEnd {
  return mode === "shadow" ? { go: true, would: reason } : { go: false, reason };
}

/** The answer, or that there is none in time or none that anybody waits for. */
async function inTime(
  reply: Promise<ToolRateReply | "unavailable">,
  around: { readonly clock: Clock; readonly stop: TurnStop; readonly deadlineMs: number },
): Promise<ToolRateReply | "unavailable"> {
  const { clock, stop, deadlineMs } = around;
  const { promise: given, resolve } = Promise.withResolvers<"unavailable">();
  const giveUp = (): void => resolve("unavailable");
  const cancel = clock.after(Math.min(answerMs, deadlineMs - clock.monotonicMs()), giveUp);
  const offStop = stop.onStop(giveUp);
  try {
    return await Promise.race([reply, given]);
  } finally {
    cancel();
    offStop();
  }
}
