import type { Decision, Outcome } from "@sluice/contract";
import type { AnswerMeta } from "./protocol.ts";

type AnyOutcome = Outcome<unknown, unknown, unknown>;
type Headers = Readonly<Record<string, string>>;

/** What of an outcome front ends may be told. */
export function metaOf({ decision, path, record }: AnyOutcome): AnswerMeta {
  return {
    path,
    decision: decision.id,
    ...(record.selectedProvider !== undefined && { selected_provider: record.selectedProvider }),
    fallback_used: record.fallbackUsed,
    ...(record.promptTemplateVersion !== undefined && {
      prompt_template_version: record.promptTemplateVersion,
    }),
  };
}

/** Headers of our own: who answers, and by which decision. */
export function ownHeaders(decision: Decision, path: AnswerMeta["path"]): Headers {
  return path === "none"
    ? { "sluice-decision": decision.id }
    : { "sluice-decision": decision.id, "sluice-path": path };
}

/** The same as {@link metaOf}, for who does not read bodies. */
export function metaHeaders(meta: AnswerMeta): Headers {
  return {
    ...(meta.selected_provider !== undefined && {
      "sluice-selected-provider": asHeader(meta.selected_provider),
    }),
    "sluice-fallback-used": String(meta.fallback_used),
    ...(meta.prompt_template_version !== undefined && {
      "sluice-prompt-template-version": asHeader(meta.prompt_template_version),
    }),
  };
}

/** Names come from the configuration, which may hold what a header can't. */
const asHeader = (name: string): string => name.replaceAll(/[^\x20-\x7e]/g, "?");
