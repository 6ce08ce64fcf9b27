import type { Outcome } from "./outcome.ts";
import type { Usage } from "./usage.ts";

/**
 * What a guarded stream is made of, whatever protocol it is told in. Exactly one event is terminal, the
 * last: `finish` or `failed`. All text together is the answer's text, or the JSON of its value.
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
  /** The request's tokens so far, where the provider told them. */
  | { readonly type: "usage"; readonly usage: Usage }
  /** The answer is complete and parses under the contract: the model's, or the safe path's. */
  | { readonly type: "finish"; readonly outcome: Outcome<Ok, Failed, Stub> }
  /** There is no complete answer; what was sent before must not be taken for one. */
  | { readonly type: "failed"; readonly outcome: Outcome<Ok, Failed, Stub> };
