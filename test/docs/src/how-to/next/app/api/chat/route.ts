// #region
// app/api/chat/route.ts
import { chatGateway } from "@sluice/next";
import { chatGuard } from "../../../lib/chat-guard.ts";
import { legacyChat } from "../../../lib/legacy-chat.ts";
import { userOf } from "../../../lib/session.ts";

export const POST = chatGateway(() => ({
  guard: chatGuard(),
  legacy: legacyChat, // what `POST` was: a function of the request
  subject: async ({ cookies }) => (await userOf(cookies.get("session")?.value)).id,
}));
// #endregion
