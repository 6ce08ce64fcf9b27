import { runsAtOnce, type ProbeClient } from "./verify-probe.ts";
import { StepFailure } from "./verify-step.ts";

export interface LoadSeen {
  readonly runs: number;
  /** By AI, before the kill was sent. */
  readonly aiBefore: number;
  /** By AI, of calls that began after a refusal had been seen. */
  readonly aiAfter: number;
  /** That failed, of calls that began after the kill was sent. */
  readonly failed: number;
  /** What went wrong between here and the app; empty where nothing did. */
  readonly answers: string;
}

/** Runs of the app, over and over, until it is stopped. */
export interface Load {
  /** The kill is sent now. */
  markKill(): void;
  /** Goes on for some calls that begin after this one, then tells. */
  stopAfterMore(): Promise<LoadSeen>;
  /** Waits for what is under way. */
  stop(): Promise<void>;
}

const lanes = 2;
const moreCalls = 3;

/** Resolves once runs have come back. @throws StepFailure where nobody could run */
export async function startLoad(probe: ProbeClient, admitted: readonly string[]): Promise<Load> {
  const subjects = admitted.slice(0, runsAtOnce);
  if (subjects.length === 0) {
    throw new StepFailure("no subject is in, so there is no load: ask of more --subjects");
  }
  const seen = { runs: 0, aiBefore: 0, aiAfter: 0, failed: 0, answers: "" };
  let killSent = false;
  let refused = false;
  let leftCalls = Number.POSITIVE_INFINITY;

  const call = async (): Promise<void> => {
    const began = { killSent, refused };
    const { results, closed } = await probe.run(subjects);
    seen.runs += results.length;
    const ai = results.filter(({ path }) => path === "ai").length;
    if (!killSent) seen.aiBefore += ai;
    if (began.refused) seen.aiAfter += ai;
    if (began.killSent) seen.failed += results.filter(({ status }) => status === "FAILED").length;
    // The process knows of the kill.
    if (killSent && closed) refused = true;
  };
  const lane = async (): Promise<void> => {
    while (leftCalls > 0) {
      leftCalls -= 1;
      try {
        await call();
      } catch (error) {
        seen.answers ||= error instanceof StepFailure ? error.message : "a call was cut short";
        return;
      }
    }
  };

  await call();
  const running = Promise.all(Array.from({ length: lanes }, lane));
  return {
    markKill: () => {
      killSent = true;
    },
    async stopAfterMore() {
      refused = true;
      leftCalls = lanes * moreCalls;
      await running;
      return seen;
    },
    async stop() {
      leftCalls = 0;
      await running;
    },
  };
}
