import { randomUUID } from "node:crypto";
import { chatGateway } from "@sluice/next";
import { chatGuard } from "../../../chat-guard.ts";
import { legacyChat } from "../../../legacy-chat.ts";
import { visitorCookie, visitors } from "../../../visitors.ts";

/** A guard needs Node. */
export const runtime = "nodejs";

export const POST = chatGateway(async () => ({
  guard: await chatGuard(),
  legacy: legacyChat,
  // A caller without a valid cookie is a new visitor each time.
  subject: ({ cookies }) => visitors().idOf(cookies.get(visitorCookie)?.value) ?? randomUUID(),
  // The page says who answered.
  meta: true,
}));
