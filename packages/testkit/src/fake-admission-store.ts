import {
  Reason,
  type AdmissionAsk,
  type AdmissionReply,
  type AdmissionStore,
  type GateMode,
  type ToolRateReply,
} from "@sluice/contract";

/** One question to the store that waits for its answer. The first answer counts. */
export interface PendingAcquire {
  readonly subject: string;
  /** What the request brought besides. */
  readonly ask: AdmissionAsk | undefined;
  /** Answers by the limit. */
  answer(): void;
  unavailable(): void;
  /** Rejects, which no store may. */
  fail(error: unknown): void;
}

/** The same for one tool call. */
export interface PendingToolCall {
  readonly subject: string;
  /** What stands in for the store's own mode. */
  readonly mode: GateMode | undefined;
  answer(reply: ToolRateReply | "unavailable"): void;
  /** Rejects, which no store may. */
  fail(error: unknown): void;
}

export interface FakeAdmissionStore extends AdmissionStore {
  /** Questions that have no answer yet, oldest first. */
  readonly pending: readonly PendingAcquire[];
  /** Leases that are held now. */
  readonly held: number;
  readonly renewals: number;
}

/** A store behind a network that a test holds the other end of: one limit, for all subjects together. */
export function fakeAdmissionStore(options: {
  readonly limit: number;
  readonly leaseMs?: number;
  /** Asked before the question is sent; what it throws `acquire` throws, which no store may. */
  readonly onAcquire?: (pending: PendingAcquire) => void;
  /** The same for a tool call; without it the store has no rate of tool calls. */
  readonly onTakeTool?: (pending: PendingToolCall) => void;
}): FakeAdmissionStore {
  const { limit, leaseMs = 30_000, onAcquire, onTakeTool } = options;
  const pending: PendingAcquire[] = [];
  let held = 0;
  let renewals = 0;

  const decide = (): AdmissionReply => {
    if (held >= limit) {
      const reason = Reason.GLOBAL_IN_FLIGHT;
      return { admitted: false, reason, retryAfterMs: 1000, wouldRefuse: [] };
    }
    held += 1;
    let open = true;
    const release = (): void => {
      if (open) held -= 1;
      open = false;
    };
    const renew = (): void => {
      if (open) renewals += 1;
    };
    return { admitted: true, lease: { release, renew }, wouldRefuse: [] };
  };

  return {
    name: "fake",
    leaseMs,
    pending,
    get held() {
      return held;
    },
    get renewals() {
      return renewals;
    },
    acquire(subject, ask) {
      const { promise, resolve, reject } = Promise.withResolvers<AdmissionReply | "unavailable">();
      const once = (end: () => void) => (): void => {
        const place = pending.indexOf(question);
        if (place < 0) return;
        pending.splice(place, 1);
        end();
      };
      const question: PendingAcquire = {
        subject,
        ask,
        answer: once(() => resolve(decide())),
        unavailable: once(() => resolve("unavailable")),
        fail: (error) => once(() => reject(error))(),
      };
      pending.push(question);
      onAcquire?.(question);
      return promise;
    },
    ...(onTakeTool && {
      takeTool(subject: string, mode?: GateMode) {
        const { promise, resolve, reject } = Promise.withResolvers<ToolRateReply | "unavailable">();
        onTakeTool({ subject, mode, answer: resolve, fail: reject });
        return promise;
      },
    }),
    apart: () => fakeAdmissionStore(options),
    describe: () => [`global in-flight ${limit} (enforce)`],
    close: () => undefined,
  };
}
