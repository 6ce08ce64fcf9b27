// #region
import { fetchGateway } from "@sluice/gateway";
// #endregion
import { chatGuard } from "./lib/chat-guard.ts";
import { legacyChat } from "./lib/legacy-chat.ts";

/** What the page takes for granted: of Hono what it needs, and the sign-in. */
export interface Surroundings {
  readonly app: {
    post(
      path: string,
      handler: (c: { req: { raw: Request } }) => Response | Promise<Response>,
    ): void;
  };
  readonly userOf: (request: Request) => { readonly id: string };
}

export function mount({ app, userOf }: Surroundings) {
  const guard = chatGuard();
  // #region +
  const gateway = fetchGateway({
    guard,
    legacy: legacyChat,
    subject: (request) => userOf(request).id,
  });
  // #endregion
  // #region
  app.post("/api/chat", (c) => gateway(c.req.raw)); // Hono
  const action = ({ request }: { request: Request }) => gateway(request); // React Router
  const server = { fetch: (request: Request) => gateway(request) }; // `export default` of Bun and Deno
  // #endregion
  return { gateway, action, server };
}
