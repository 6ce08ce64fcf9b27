import { chatGateway } from "@sluice/express";
import { skipCauses, type SkipCause } from "@sluice/gateway";
import type { Request, RequestHandler } from "express";
import { chatRequestSchema } from "./chat-contract.ts";
import type { ChatGuard } from "./chat-guard.ts";
import { legacyChat } from "./legacy-chat.ts";
import { legacyCompletions } from "./legacy-completions.ts";
import type { LiveCounts } from "./live-counts.ts";
import type { RecentOutcomes } from "./recent-outcomes.ts";

/** What a shadow may do beside the legacy handler. */
export interface ShadowLimits {
  /** The share of requests, 0 to 1, for which the model is really asked. */
  readonly mirrorShare: number;
  /** What these may cost a day, of each of the two routes. */
  readonly costNanoUsdPerDay: number;
}

export interface ChatGatewaysOptions {
  readonly guard: ChatGuard;
  readonly subjectOf: (req: Request) => string;
  readonly outcomes: RecentOutcomes;
  readonly counts: LiveCounts;
  readonly shadow: ShadowLimits;
}

/** What is under way, and what the shadows left alone. */
export interface UnderWay {
  readonly answers: number;
  readonly watched: number;
  readonly mirrors: number;
  readonly skipped: Readonly<Record<SkipCause, number>>;
}

/** The two routes of one guard. */
export interface ChatGateways {
  /** For the page, which speaks JSON, and for `useChat`. */
  readonly chat: RequestHandler;
  /** For clients of OpenAI's API. */
  readonly completions: RequestHandler;
  underWay(): UnderWay;
  /** Lets nobody in any more; resolves once every answer has ended. */
  drain(deadlineMs: number): Promise<void>;
}

export function chatGateways(options: ChatGatewaysOptions): ChatGateways {
  const { guard, subjectOf: subject, outcomes, counts, shadow } = options;
  const shared = {
    guard,
    subject,
    input: chatRequestSchema,
    shadow,
    onOutcome(outcome: Parameters<RecentOutcomes["note"]>[0]) {
      outcomes.note(outcome);
      counts.noteOutcome(outcome);
    },
  };
  const counted =
    (legacy: RequestHandler): RequestHandler =>
    (req, res, next) => {
      counts.noteLegacy();
      return legacy(req, res, next);
    };
  const chat = chatGateway({ ...shared, legacy: counted(legacyChat()) });
  const completions = chatGateway({
    ...shared,
    protocol: "openai",
    legacy: counted(legacyCompletions()),
  });
  const both = [chat, completions];
  const sum = (count: (gateway: typeof chat) => number): number =>
    both.reduce((all, gateway) => all + count(gateway), 0);

  return {
    chat,
    completions,
    underWay: () => ({
      answers: sum(({ active }) => active),
      watched: sum((gateway) => gateway.shadow.watched),
      mirrors: sum((gateway) => gateway.shadow.mirrors),
      skipped: Object.fromEntries(
        skipCauses.map((cause) => [cause, sum((gateway) => gateway.shadow.skipped[cause])]),
      ) as Record<SkipCause, number>,
    }),
    async drain(deadlineMs) {
      await Promise.all(both.map((gateway) => gateway.drain({ deadlineMs })));
    },
  };
}
