/* oxlint-disable import/no-default-export -- Next finds it so */
// #region
// pages/api/chat.ts
import { pagesChatGateway } from "@sluice/next";
import { chatGuard } from "../../lib/chat-guard.ts";
import { legacyApi } from "../../lib/legacy-chat.ts";
import { userOf } from "../../lib/session.ts";

export default pagesChatGateway({
  guard: chatGuard(),
  legacy: legacyApi, // what the default export was
  subject: async ({ cookies }) => (await userOf(cookies["session"])).id,
});
// #endregion
