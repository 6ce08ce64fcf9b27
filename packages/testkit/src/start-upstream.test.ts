import { describe, expect, it, onTestFinished } from "vitest";
import { sendJson, startUpstream, type UpstreamAnswer } from "./start-upstream.ts";

async function upstreamThat(answer: UpstreamAnswer) {
  const upstream = await startUpstream(answer);
  onTestFinished(() => upstream.close());
  return upstream;
}

describe("an upstream", () => {
  it("keeps what it was sent and answers what it is told", async () => {
    const upstream = await upstreamThat((res) => sendJson(res, { n: 1 }));
    const send = () => fetch(`${upstream.url}/a?b=c`, { method: "POST", body: "hello" });
    expect(await (await send()).json()).toEqual({ n: 1 });
    upstream.answerWith((res) => sendJson(res, { n: 2 }, 503));
    expect((await send()).status).toBe(503);
    expect(upstream.requests).toMatchObject([
      { method: "POST", path: "/a?b=c", body: "hello" },
      { method: "POST", path: "/a?b=c", body: "hello" },
    ]);
  });

  it("tells when requests have come and when their clients are gone", async () => {
    const upstream = await upstreamThat(() => undefined);
    const gone = new AbortController();
    const sent = fetch(upstream.url, { signal: gone.signal });
    await upstream.received(1);
    expect(upstream.open).toBe(1);
    gone.abort();
    await expect(sent).rejects.toThrow("aborted");
    await upstream.settled();
    expect(upstream.open).toBe(0);
  });

  it("closes with its connections, also those that hang", async () => {
    const upstream = await startUpstream(() => undefined);
    const sent = fetch(upstream.url);
    await upstream.received(1);
    await upstream.close();
    await expect(sent).rejects.toThrow("fetch failed");
  });
});
