import {
  Reason,
  type AdmissionAsk,
  type AdmissionDimension,
  type BudgetAsk,
  type BudgetCaps,
  type BudgetUse,
  type Usage,
} from "@sluice/contract";
import {
  modeOf,
  type ModelLimits,
  type ModelProcess,
  type Word,
} from "./admission-model-limits.ts";

export interface ModelCall {
  readonly process: ModelProcess;
  readonly subject: string;
  readonly modes: AdmissionAsk["modes"];
  readonly day: number;
  readonly ask: BudgetAsk;
  readonly outputTokens: number;
  /** What each budget that counts it set aside for its output. */
  readonly parts: ReadonlyMap<AdmissionDimension, number>;
  readonly dueMs: number;
  end: Usage | "whole" | "void" | undefined;
  isLost: boolean;
}

export const dayMs = 86_400_000;
const noUse: BudgetUse = { calls: 0, tokens: 0, costNanoUsd: 0 };

/** Budgets of days: the list of all calls that ever were granted, and each sum worked out anew. */
export class ModelBudgets {
  readonly calls: ModelCall[] = [];
  readonly #time: { readonly nowMs: number; readonly wallMs: number; readonly day: number };
  readonly #reservationMs: number;

  constructor(
    time: { readonly nowMs: number; readonly wallMs: number; readonly day: number },
    reservationMs: number,
  ) {
    this.#time = time;
    this.#reservationMs = reservationMs;
  }

  /** Nothing of what was charged is known any more, and what ends later charges nothing. */
  lose(): void {
    for (const call of this.calls) call.isLost = true;
  }

  /** Only the first ending counts. */
  end(call: ModelCall, how: ModelCall["end"]): void {
    call.end ??= how;
  }

  /** Another call of a request. */
  further(
    call: ModelCall,
    ask: BudgetAsk,
  ): { readonly reason: Reason } | { readonly outputTokens: number } {
    const { process, subject, modes } = call;
    const refused = this.words(process, subject, modes, ask).find(
      ({ mode, reason }) => mode === "enforce" && reason !== undefined,
    );
    if (refused?.reason !== undefined) return { reason: refused.reason };
    return { outputTokens: this.charge(process, subject, modes, ask) };
  }

  /** What a budget is charged with, in its three parts. */
  use(
    dimension: AdmissionDimension,
    day: number,
    subject?: string,
  ): Readonly<Record<"settled" | "open" | "expired", BudgetUse>> {
    const parts = { settled: noUse, open: noUse, expired: noUse };
    for (const call of this.calls) {
      const output = call.parts.get(dimension);
      if (output === undefined || call.isLost || call.day !== day || call.end === "void") continue;
      if (subject !== undefined && call.subject !== subject) continue;
      const isLate = call.end === undefined && call.dueMs <= this.#time.nowMs;
      const [input, spent] =
        typeof call.end === "object"
          ? [call.end.inputTokens, call.end.outputTokens]
          : [call.ask.inputTokens, isLate ? 0 : output];
      const part = isLate ? "expired" : call.end === undefined ? "open" : "settled";
      parts[part] = {
        calls: parts[part].calls + 1,
        tokens: parts[part].tokens + input + spent,
        costNanoUsd: parts[part].costNanoUsd + costOf(call.ask, input, spent),
      };
    }
    return parts;
  }

  /** All that a budget looks at. */
  used(dimension: AdmissionDimension, subject?: string): BudgetUse {
    const { settled, open, expired } = this.use(dimension, this.#time.day, subject);
    return {
      calls: settled.calls + open.calls + expired.calls,
      tokens: settled.tokens + open.tokens + expired.tokens,
      costNanoUsd: settled.costNanoUsd + open.costNanoUsd + expired.costNanoUsd,
    };
  }

  /** What each budget says to a call. */
  words(
    { limits }: ModelProcess,
    subject: string,
    modes: AdmissionAsk["modes"],
    ask: BudgetAsk,
  ): readonly Word[] {
    const waitMs = (this.#time.day + 1) * dayMs - this.#time.wallMs;
    return (["user_budget", "global_budget"] as const).map((dimension) => {
      const mode = modeOf(limits, modes, dimension);
      const { reason } = this.#room(limits, dimension, subject, ask);
      return { dimension, mode, reason: mode === "off" ? undefined : reason, waitMs };
    });
  }

  /** The most output that is left for, or why it is too little. */
  #room(
    limits: ModelLimits,
    dimension: "user_budget" | "global_budget",
    subject: string,
    ask: BudgetAsk,
  ): { readonly output: number; readonly reason: Reason | undefined } {
    const isUser = dimension === "user_budget";
    const caps: BudgetCaps = isUser ? limits.userBudget : limits.globalBudget;
    const used = this.used(dimension, isUser ? subject : undefined);
    const least = Math.min(ask.minOutputTokens, ask.outputTokens);
    let output = ask.outputTokens;
    let reason: Reason | undefined;
    if (caps.calls !== undefined && used.calls >= caps.calls) reason = Reason.BUDGET_CALLS;
    if (caps.tokens !== undefined) {
      output = Math.min(output, caps.tokens - used.tokens - ask.inputTokens);
      if (output < least) reason ??= Reason.BUDGET_TOKENS;
    }
    if (caps.costNanoUsd !== undefined) {
      const left = caps.costNanoUsd - used.costNanoUsd - costOf(ask, ask.inputTokens, 0);
      const each = ask.price?.outputNanoUsdPerToken ?? 1;
      output = Math.min(output, Math.floor(left / each));
      if (ask.price === undefined || left < 0 || output < least) reason ??= Reason.BUDGET_COST;
    }
    return { output, reason };
  }

  /** Sets aside what is granted, in each budget that has room for it. */
  charge(
    process: ModelProcess,
    subject: string,
    modes: AdmissionAsk["modes"],
    ask: BudgetAsk,
  ): number {
    const { limits } = process;
    const rooms = (["user_budget", "global_budget"] as const).map((dimension) => ({
      dimension,
      isEnforced: modeOf(limits, modes, dimension) === "enforce",
      ...this.#room(limits, dimension, subject, ask),
    }));
    const outputTokens = Math.min(
      ask.outputTokens,
      ...rooms.filter(({ isEnforced }) => isEnforced).map(({ output }) => output),
    );
    this.calls.push({
      process,
      subject,
      modes,
      day: this.#time.day,
      ask,
      outputTokens,
      parts: new Map(
        rooms
          .filter(({ reason }) => reason === undefined)
          .map(({ dimension, output }) => [dimension, Math.min(output, outputTokens)]),
      ),
      dueMs: this.#time.nowMs + this.#reservationMs,
      end: undefined,
      isLost: false,
    });
    return outputTokens;
  }
}

function costOf({ price }: BudgetAsk, input: number, output: number): number {
  if (price === undefined) return 0;
  return input * price.inputNanoUsdPerToken + output * price.outputNanoUsdPerToken;
}
