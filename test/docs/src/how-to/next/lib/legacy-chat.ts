import type { IncomingMessage, ServerResponse } from "node:http";

interface Asked {
  readonly messages: readonly unknown[];
}

/** What the page takes for granted: `/api/chat` as it was, in each of the two routers. */
export async function legacyChat(request: Request): Promise<Response> {
  const { messages } = (await request.json()) as Asked;
  return Response.json({ reply: "Ask a person.", asked: messages.length });
}

export function legacyApi(req: IncomingMessage & { body: Asked }, res: ServerResponse): void {
  res.end(JSON.stringify({ reply: "Ask a person.", asked: req.body.messages.length }));
}
