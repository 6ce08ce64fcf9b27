import type { FailureCode } from "@sluice/contract";

/** What people read of a failure. Nothing here is the upstream's or the user's. */
export const failureSentences: Readonly<Record<FailureCode, string>> = {
  PROVIDER_TIMEOUT: "The answer took too long. Try again.",
  PROVIDER_RATE_LIMITED: "The AI service is busy at the moment. Try again in a minute.",
  PROVIDER_QUOTA: "The AI service can't be used at the moment.",
  PROVIDER_AUTH: "The AI service can't be used at the moment.",
  PROVIDER_UNAVAILABLE: "The AI service could not be reached. Try again.",
  PROVIDER_BAD_REQUEST: "The AI service could not take this request.",
  REFUSED: "The AI service declined to answer this.",
  CONTENT_FILTERED: "A content filter stopped this answer.",
  STREAM_CUT: "The connection to the AI service broke, so this answer is incomplete. Try again.",
  STREAM_STALLED: "The AI service stopped writing, so this answer is incomplete. Try again.",
  OUTPUT_TRUNCATED: "This answer became too long and is incomplete.",
  OUTPUT_NOT_JSON: "The answer was not usable. Try again.",
  OUTPUT_SCHEMA_INVALID: "The answer was not usable. Try again.",
  KILLED: "This feature was turned off while the answer was being written, so it is incomplete.",
  CLIENT_ABORTED: "This answer was stopped, so it is incomplete.",
  INTERNAL: "Something went wrong. Try again.",
};
