import { chatCompletion, sendJson, startUpstream, type UpstreamAnswer } from "@sluice/testkit";
import { expect, it, onTestFinished } from "vitest";
import { openFlags, startChatApp } from "./chat-app.ts";

/** Stands in everything that people and models write. */
const sentinel = "SENTINEL-c0ffee-42";

const answers: readonly UpstreamAnswer[] = [
  (res) => sendJson(res, chatCompletion(sentinel)),
  (res) => sendJson(res, chatCompletion(sentinel)),
  (res) => sendJson(res, chatCompletion(JSON.stringify({ [sentinel]: sentinel }))),
  (res) => sendJson(res, chatCompletion(null, { message: { refusal: sentinel } })),
  (res) => sendJson(res, chatCompletion(`{"${sentinel}`, { finish: "length" })),
  (res) => sendJson(res, { error: { message: sentinel, code: sentinel, type: sentinel } }, 400),
  (res) => sendJson(res, { error: { message: sentinel, code: sentinel } }, 401),
  (res) => sendJson(res, { error: sentinel }, 429),
  (res) => void res.writeHead(500, { "x-request-id": sentinel }).end(sentinel),
  (res) => void res.writeHead(200, { "content-type": "application/json" }).end(`{"${sentinel}`),
  (res) => void res.writeHead(307, { location: `/${sentinel}` }).end(),
  (res) => {
    res.writeHead(200, { "content-type": "application/json" });
    res.write(`{"${sentinel}`, () => res.socket?.destroy());
  },
];

it("I5 nothing that a person or a model wrote is printed", { timeout: 20_000 }, async () => {
  const upstream = await startUpstream((res) => sendJson(res, chatCompletion("{}")));
  onTestFinished(() => upstream.close());
  const [first] = answers;
  if (first !== undefined) upstream.answerWith(first);
  const app = await startChatApp({
    upstreamUrl: upstream.url,
    flags: openFlags,
    // The client logs bodies when it is told to.
    env: { OPENAI_LOG: "debug", CHAT_AI_TIMEOUT_MS: "300" },
  });
  await app.untilPath("ai");

  const raw = (body: string, type = "application/json"): Promise<Response> =>
    fetch(`${app.url}/api/chat?${sentinel}`, {
      method: "POST",
      headers: { "content-type": type, cookie: `visitor=${sentinel}`, "x-id": sentinel },
      body,
    });
  const everything = async (): Promise<void> => {
    for (const answer of answers) {
      upstream.answerWith(answer);
      await app.chat(sentinel, { cookie: `visitor=${sentinel}` });
    }
    upstream.answerWith(() => undefined);
    await app.chat(sentinel);
    await raw(`{"messages":"${sentinel}`);
    await raw(`{"messages":[{"role":"${sentinel}","content":"${sentinel}"}],"${sentinel}":1}`);
    await raw(sentinel, "text/plain");
    await raw(sentinel, `application/json; charset=${sentinel}`);
    await raw(`"${sentinel.repeat(100_000)}"`);
    await fetch(`${app.url}/api/decisions/${sentinel}`);
    await fetch(`${app.url}/${sentinel}/%ff`);
  };
  await everything();
  await app.editFlags(openFlags.replace("CHAT_AI_KILL=false", `CHAT_AI_KILL=sure`));
  await app.untilPath("legacy");
  await everything();
  await app.editFlags("");
  await app.untilPath(null);
  await everything();

  app.process.signal("SIGTERM");
  await app.process.ended;
  expect(upstream.requests.some(({ body }) => body.includes(sentinel))).toBe(true);
  // It did speak of what happened to its flags.
  expect(app.process.stderr).toContain("CHAT_AI_KILL");
  expect(app.process.stdout + app.process.stderr).not.toContain(sentinel);
});
