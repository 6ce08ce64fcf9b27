import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { staticFlags } from "@sluice/guard";
import { streamText } from "ai";
import { guardedLanguageModel } from "../src/index.ts";
import { httpModel } from "./http-model.ts";

// An application that pipes an answer to its client and awaits nothing, as the SDK's docs show it.
const [how, url = ""] = process.argv.slice(2);
const bare = httpModel(url);
const guarded = guardedLanguageModel({
  feature: "sample_ai",
  subject: "user-1",
  flags: staticFlags({ sample_ai: { enabled: true } }),
  model: bare,
});

const server = createServer((_req, res) => {
  const result = streamText({
    model: how === "bare" ? bare : guarded,
    prompt: "Say hello",
    maxRetries: 0,
    onError: ({ error }) => say("onError", (error as Error).message),
    onEnd: ({ finishReason }) => say("onEnd", finishReason),
  });
  if (how === "text") void result.pipeTextStreamToResponse(res);
  else void result.pipeUIMessageStreamToResponse(res);
});
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  void ask(`http://127.0.0.1:${port}`);
});

function say(what: string, value: string | number): void {
  process.stdout.write(`${what} ${value}\n`);
}

async function ask(at: string): Promise<void> {
  try {
    const response = await fetch(at);
    say("client", JSON.stringify(await response.text()));
  } catch (error) {
    say("client", (error as Error).message);
  }
  say("in flight", guarded.guard.inFlight);
  guarded.guard.close();
  server.close();
  server.closeAllConnections();
}
