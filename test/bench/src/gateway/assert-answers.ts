import assert from "node:assert/strict";
import { Agent } from "node:http";
import { askChat } from "./ask-chat.ts";
import type { ByKind } from "./by-kind.ts";
import { streamBody, wholeBody, type Question } from "./question.ts";
import { routeKinds } from "./route-kinds.ts";
import type { Route } from "./start-routes.ts";

/** Each route answers with what the upstream said, and who is to answer does. */
export async function assertAnswers(routes: ByKind<Route>): Promise<void> {
  const agent = new Agent({ keepAlive: true });
  const question: Question = { chunks: 2, gapMs: 0, says: "open" };
  for (const kind of routeKinds) {
    const { port } = routes[kind];
    const whole = await askChat({ port, agent, body: wholeBody(question) });
    assert.deepEqual(JSON.parse(String(whole.body)), { status: "OK", reply: "open" }, kind);
    const stream = await askChat({ port, agent, body: streamBody(question) });
    assert.match(String(stream.body), /open 1\. .*open 2\. .*\[DONE\]\n\n$/s, kind);
    for (const { headers } of [whole, stream]) {
      assert.equal(headers.includes("sluice-path"), kind === "memory" || kind === "redis", kind);
    }
  }
  agent.destroy();
}
