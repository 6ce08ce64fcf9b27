/** Whose answer the client gets, as the environment says it. */
export type StageName = "legacy" | "shadow" | "authoritative";

const open = {
  FEATURE_BENCH: "true",
  FF_ADMISSION_ENFORCE: "true",
  ADMISSION_ENFORCE_USER_INFLIGHT: "true",
  ADMISSION_ENFORCE_GLOBAL_INFLIGHT: "true",
  ADMISSION_ENFORCE_GLOBAL_MSG_RATE: "true",
  ADMISSION_ENFORCE_GLOBAL_TOOL_RATE: "true",
} as const;

export function stageVariables(stage: StageName): Record<string, string> {
  return {
    ...open,
    FF_CHAT_GATEWAY_ENABLED: String(stage !== "legacy"),
    FF_CHAT_GATEWAY_SHADOW: String(stage === "shadow"),
  };
}
