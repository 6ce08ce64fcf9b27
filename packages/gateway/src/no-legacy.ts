import type { WireAnswer } from "./protocol.ts";

/** Problem details, where the gateway is off and there is nobody else. Source: RFC 9457. */
export const noLegacy: WireAnswer = {
  status: 503,
  headers: {},
  contentType: "application/problem+json",
  body: JSON.stringify({
    type: "about:blank",
    title: "The chat gateway is off, and there is no legacy handler",
    status: 503,
  }),
};
