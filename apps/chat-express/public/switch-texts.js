/** Why limits refuse nobody, whatever their switches say; undefined where they do. */
function whyObserved(all) {
  if (!all.FF_CHAT_GATEWAY_ENABLED) return "Without effect while the gateway is off.";
  return all.FF_CHAT_GATEWAY_SHADOW ? "Observes: the gateway only watches." : undefined;
}

function limit(title, name, enforced) {
  const says = (all, most) => {
    if (all.FF_ADMISSION_ENFORCE && all[name]) return enforced(most[name]);
    return all[name] ? "Observes: all limits do." : "Observes.";
  };
  return [title, (all, most) => whyObserved(all) ?? says(all, most)];
}

/** What each switch is about, and what it does as all of them stand. */
export const switchTexts = {
  FF_CHAT_GATEWAY_ENABLED: [
    "Gateway",
    (all) =>
      all.FF_CHAT_GATEWAY_ENABLED
        ? "Requests pass the gateway."
        : "The legacy handler answers alone: no header, no wait, no read of the body.",
  ],
  FF_CHAT_GATEWAY_SHADOW: [
    "Shadow",
    (all) => {
      if (!all.FF_CHAT_GATEWAY_SHADOW) return "The gateway answers, once it is on.";
      return all.FF_CHAT_GATEWAY_ENABLED
        ? "The legacy handler answers; the gateway only watches."
        : "Without effect while the gateway is off.";
    },
  ],
  FF_ADMISSION_ENFORCE: [
    "Limits",
    (all) =>
      whyObserved(all) ??
      (all.FF_ADMISSION_ENFORCE
        ? "Each limit does what its own switch says."
        : "All limits observe: whom they would refuse is counted."),
  ],
  ADMISSION_ENFORCE_USER_INFLIGHT: limit(
    "Answers of one visitor at a time",
    "ADMISSION_ENFORCE_USER_INFLIGHT",
    (most) => `More than ${most} are refused: 429.`,
  ),
  ADMISSION_ENFORCE_GLOBAL_INFLIGHT: limit(
    "Answers of all at a time",
    "ADMISSION_ENFORCE_GLOBAL_INFLIGHT",
    (most) => `More than ${most} are refused: 429.`,
  ),
  ADMISSION_ENFORCE_GLOBAL_MSG_RATE: limit(
    "Messages a minute",
    "ADMISSION_ENFORCE_GLOBAL_MSG_RATE",
    (most) => `More than ${most} are refused: 429.`,
  ),
  ADMISSION_ENFORCE_GLOBAL_TOOL_RATE: limit(
    "Tool calls a minute",
    "ADMISSION_ENFORCE_GLOBAL_TOOL_RATE",
    (most) => `More than ${most} are not made; the model is told so.`,
  ),
  FF_TOOL_QUEUE_ENFORCE: [
    "Tool queue",
    (all) =>
      all.FF_TOOL_QUEUE_ENFORCE
        ? "Tool calls wait for their turn, and not for ever."
        : "Every tool call runs at once; its wait is only measured.",
  ],
  FF_PROVIDER_FAILOVER_ENABLED: [
    "Failover",
    (all) =>
      all.FF_PROVIDER_FAILOVER_ENABLED
        ? "The second provider stands in where the first one fails."
        : "Only the first provider is ever called.",
  ],
  FF_FAIL_CLOSED_ON_REDIS_ERROR: [
    "Closed without Redis",
    (all) =>
      all.FF_FAIL_CLOSED_ON_REDIS_ERROR
        ? "Where the limits can't be asked, requests are refused: 503."
        : "Where the limits can't be asked, requests are let in.",
  ],
};

/** Who answers, in words. */
export const stageTexts = {
  legacy: () => ["Legacy.", "The old handler answers, as if there were no gateway."],
  shadow: (mirrorShare) => [
    "Shadow.",
    `The old handler answers. The gateway's checks run beside it, and for ${Math.round(100 * mirrorShare)} % of the requests the model, unseen.`,
  ],
  authoritative: () => [
    "Authoritative.",
    "The gateway answers. What its gates divert goes to the old handler.",
  ],
};
