import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { createProbeClient } from "./verify-probe.ts";

const head = { feature: "f", flagVersion: 1, percent: 50, closed: false, without: [], runs: true };
const allow = { effect: "allow" };

/** What stands at the address, and what it was sent. */
async function serve(answers: readonly { readonly status?: number; readonly body: unknown }[]) {
  const asked: { readonly authorization: string | undefined; readonly body: unknown }[] = [];
  const server = createServer((request, response) => {
    let text = "";
    request.setEncoding("utf8");
    request.on("data", (piece: string) => {
      text += piece;
    });
    request.on("end", () => {
      const { status = 200, body } = answers[asked.length] ?? { status: 500, body: "" };
      asked.push({ authorization: request.headers.authorization, body: JSON.parse(text) });
      response.writeHead(status, { location: "/elsewhere" });
      response.end(typeof body === "string" ? body : JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const stop = new AbortController();
  const client = createProbeClient({
    url: `http://127.0.0.1:${port}/probe`,
    token: "a-token-of-the-probe",
    tokenVariable: "TOKEN",
    feature: "f",
    signal: stop.signal,
  });
  return { client, asked, stop };
}

it("asks of a thousand subjects at once, and puts the answers together in order", async () => {
  const deny = { effect: "divert", gate: "rollout", reason: "NOT_IN_ROLLOUT" };
  const { client, asked } = await serve([
    { body: { ...head, results: Array.from({ length: 1000 }, () => allow) } },
    { body: { ...head, flagVersion: 2, results: [deny, allow] } },
  ]);
  const subjects = Array.from({ length: 1002 }, (_, index) => String(index));
  const answer = await client.ask(subjects);
  expect(answer.results).toHaveLength(1002);
  expect(answer.results[1000]).toEqual(deny);
  expect(answer.flagVersion).toBe(1);
  expect(asked).toEqual([
    { authorization: "Bearer a-token-of-the-probe", body: { subjects: subjects.slice(0, 1000) } },
    { authorization: "Bearer a-token-of-the-probe", body: { subjects: ["1000", "1001"] } },
  ]);
});

it("keeps a call small enough for the body parser that an app already has", async () => {
  const { client, asked } = await serve(
    [32, 32, 2].map((count) => ({
      body: { ...head, results: Array.from({ length: count }, () => allow) },
    })),
  );
  const subjects = Array.from({ length: 66 }, () => "x".repeat(1024));
  expect((await client.ask(subjects)).results).toHaveLength(66);
  expect(asked.map(({ body }) => JSON.stringify(body).length < 100 * 1024)).toEqual([
    true,
    true,
    true,
  ]);
});

it.each([
  ["another's page", { body: "<html>" }, "what answers there is no probe route of this version"],
  ["too few results", { body: { ...head, results: [] } }, "no probe route of this version"],
  ["another feature", { body: { ...head, feature: "g", results: [allow] } }, "of another feature"],
  ["a wrong token", { status: 401, body: "" }, "answers 401: the token in TOKEN is not the app's"],
  ["a fault", { status: 500, body: "secret" }, "the probe route answers 500"],
  // Followed, the token would go wherever the answer says.
  ["a redirect", { status: 307, body: "" }, "no answer from the probe route"],
])("tells in words what came instead of an answer: %s", async (_, answer, words) => {
  const { client, asked } = await serve([answer]);
  await expect(client.ask(["a"])).rejects.toThrow(words);
  expect(asked).toHaveLength(1);
});

it("refuses the answers of two processes, which would not have the same kill at the same time", async () => {
  const { client } = await serve([
    { body: { ...head, instance: "one", results: [allow] } },
    { body: { ...head, instance: "two", results: [allow] } },
  ]);
  await client.ask(["a"]);
  await expect(client.ask(["a"])).rejects.toThrow("more than one process");
});

it("asks nothing once it is stopped, and says why", async () => {
  const { client, asked, stop } = await serve([{ body: { ...head, results: [allow] } }]);
  stop.abort(new Error("stopped"));
  await expect(client.run(["a"])).rejects.toThrow("stopped");
  expect(asked).toEqual([]);
});
