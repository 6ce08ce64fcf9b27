import type { GuardRequest, Switches } from "@sluice/contract";
import type { Problem } from "@sluice/guard";
import type { ParsedJson } from "./body/parse-json.ts";
import type { LegacyAnswer } from "./parity.ts";

/** Why a request of the stage `shadow` was not looked at. */
export const skipCauses = [
  /** As many were watched as may be. */
  "busy",
  /** The body, or what the legacy handler read of it, was longer than is looked at. */
  "too_large",
  /** The legacy handler did not read the body. */
  "unread",
  /** The body is none that the gateway takes. */
  "invalid",
  /** Something threw, or did not end within five minutes. */
  "failed",
] as const;
export type SkipCause = (typeof skipCauses)[number];

/** A copy of a body, which is parsed when there is time for it; or why there is none. */
export type CopiedBody =
  | { readonly parse: () => Promise<ParsedJson> }
  | { readonly problem: Problem }
  | { readonly skipped: SkipCause };

/** A request that the legacy handler answers, as the shadow sees it. */
export interface WatchedCall<In> {
  readonly accept: string | undefined;
  /** May throw: they are functions of the application. */
  readonly subject: () => string;
  readonly request: (input: In) => Omit<GuardRequest, "subject" | "switches" | "signal">;
  readonly switches: Switches;
  /** Resolves once there is a copy of the body, or will be none. Never rejects. */
  readonly copied: Promise<CopiedBody>;
  /** Resolves once the legacy handler's answer has ended, whoever ended it. Never rejects. */
  readonly legacy: Promise<LegacyAnswer>;
}
