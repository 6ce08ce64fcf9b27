import type { Outcome } from "./outcome.ts";
import type { Usage } from "./usage.ts";

/**
 * What a guarded stream is made of, whatever protocol it is told in. Exactly one event is terminal, the
 * last: `finish` or `failed`. All `text-delta` together is the answer's text, or the JSON of its value.
 */
export type StreamEvent<Ok, Failed, Stub> =
  | { readonly type: "text-delta"; readonly text: string }
  /** The model calls a tool; its arguments parsed under the tool's schema. */
  | {
      readonly type: "tool-call";
      readonly id: string;
      readonly name: string;
      readonly input: unknown;
    }
  /** The tool of an earlier `tool-call` ran: what the model reads of it. */
  | {
      readonly type: "tool-result";
      readonly id: string;
      readonly name: string;
      readonly output: string;
    }
  /**
   * What the model says to itself, where the guard lets it out. It is no part of the answer, and the
   * contract's forbidden patterns hold for it too.
   */
  | { readonly type: "reasoning-delta"; readonly text: string }
  /** The request's tokens so far, where the provider told them. */
  | { readonly type: "usage"; readonly usage: Usage }
  /** The answer is complete and parses under the contract: the model's, or the safe path's. */
  | { readonly type: "finish"; readonly outcome: Outcome<Ok, Failed, Stub> }
  /**
   * There is no complete answer; what was sent before must not be taken for one. Nor is there one of the
   * path `legacy`: the caller's own handler is to answer.
   */
  | { readonly type: "failed"; readonly outcome: Outcome<Ok, Failed, Stub> };
