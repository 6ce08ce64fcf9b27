/** The chat gateway's switches, by their names in the environment. */
export const switchNames = [
  "FF_CHAT_GATEWAY_ENABLED",
  "FF_CHAT_GATEWAY_SHADOW",
  "FF_ADMISSION_ENFORCE",
  "ADMISSION_ENFORCE_USER_INFLIGHT",
  "ADMISSION_ENFORCE_GLOBAL_INFLIGHT",
  "ADMISSION_ENFORCE_GLOBAL_MSG_RATE",
  "ADMISSION_ENFORCE_GLOBAL_TOOL_RATE",
  "FF_TOOL_QUEUE_ENFORCE",
  "FF_PROVIDER_FAILOVER_ENABLED",
  "FF_FAIL_CLOSED_ON_REDIS_ERROR",
] as const;

export type SwitchName = (typeof switchNames)[number];
export type Switches = Readonly<Record<SwitchName, boolean>>;
