import type { UpstreamAnswer } from "@sluice/testkit";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  answering,
  flowing,
  frame,
  lacksChromium,
  launchChromium,
  openChatPage,
  say,
  state,
  untilBeside,
} from "./open-chat-page.ts";

const call = {
  tool_calls: [
    {
      index: 0,
      id: "call_1",
      type: "function",
      function: { name: "opening_hours", arguments: '{"day":"sunday"}' },
    },
  ],
};

/** A model that asks for the tool, then says what it read. */
const callsTheTool: UpstreamAnswer = (res, { body }) => {
  res.writeHead(200, { "content-type": "text/event-stream" });
  const hasRun = body.includes('"role":"tool"');
  res.write(frame(hasRun ? { content: "Closed on Sundays." } : call));
  res.end(`${frame({}, hasRun ? "stop" : "tool_calls")}data: [DONE]\n\n`);
};

describe.skipIf(lacksChromium)("answers that flow onto the page", { timeout: 60_000 }, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  }, 60_000);
  afterAll(async () => {
    await browser.close();
  });
  const opened = async () => {
    const open = await openChatPage(browser);
    await state(open.page, "AI path open");
    return open;
  };

  it("show the tool that the model called, and what it gave", async () => {
    const { page, upstream, complaints } = await opened();
    upstream.answerWith(callsTheTool);
    const answer = await say(page, "When are you open on Sunday?");
    expect(answer.path).toBe("AI");
    expect(answer.text).toContain("Closed on Sundays.");
    expect(await page.locator(".tool").innerText()).toBe(
      'Tool opening_hours {"day":"sunday"} → {"day":"sunday","open":false}',
    );
    expect(complaints).toEqual([]);
  });

  it.each<[what: string, end: UpstreamAnswer, code: string]>([
    ["is cut off", (res) => res.destroy(), "STREAM_CUT"],
    [
      "tells an error",
      (res) => res.end(`data: ${JSON.stringify({ error: { message: "no", code: 500 } })}\n\n`),
      "PROVIDER_UNAVAILABLE",
    ],
    ["ends without its end", (res) => res.end(), "STREAM_CUT"],
  ])("say that they are not complete where the model %s", async (_, end, code) => {
    const { page, upstream, complaints } = await opened();
    const words = Promise.withResolvers<void>();
    upstream.answerWith((res, asked) => {
      flowing("On Sundays we")(res, asked);
      void words.promise.then(() => end(res, asked));
    });
    const asked = say(page, "And on Sundays?");
    await page.locator(".answer").filter({ hasText: "On Sundays we" }).waitFor();
    words.resolve();
    const answer = await asked;
    expect(answer.path).toBe("failed");
    expect(answer.text).toContain(`On Sundays we… (not complete: ${code})`);
    upstream.answerWith(answering("Here again."));
    expect((await say(page, "Hello?")).path).toBe("AI");
    expect(complaints).toEqual([]);
  });

  it("are waited for, and can be stopped, before their first word", async () => {
    const { page, upstream } = await opened();
    const first = Promise.withResolvers<void>();
    upstream.answerWith((res) => {
      res.writeHead(200, { "content-type": "text/event-stream" });
      void first.promise.then(() =>
        res.end(`${frame({ content: "At last." })}${frame({}, "stop")}data: [DONE]\n\n`),
      );
    });
    const asked = say(page, "When are you open?");
    await upstream.received(1);
    const answer = page.locator(".answer");
    expect(await answer.textContent()).toBe("…");
    expect(await answer.getAttribute("aria-busy")).toBe("true");
    expect(await page.getByRole("button", { name: "Stop" }).isVisible()).toBe(true);
    expect(await page.getByRole("button", { name: "Send" }).isVisible()).toBe(false);
    await untilBeside(page, "Under way now", /^1 let in · 1 being answered/);
    first.resolve();
    const { path, why, text } = await asked;
    expect(path).toBe("AI");
    expect(text).toContain("At last.");
    expect(why).toMatch(/SUCCEEDED by openai · first word \d+ ms · \d+ ms/);
    expect(await answer.getAttribute("aria-busy")).toBeNull();

    upstream.answerWith(() => undefined);
    await page.getByLabel("Your message").fill("And now?");
    await page.keyboard.press("Enter");
    await upstream.received(2);
    await page.getByRole("button", { name: "Stop" }).click();
    await page.locator(".answer").filter({ hasText: "… (stopped)" }).waitFor();
    await upstream.settled();
  });

  it("are stopped in the middle, and the model with them", async () => {
    const { page, upstream, complaints } = await opened();
    upstream.answerWith(flowing("On Sundays we"));
    const asked = say(page, "And on Sundays?");
    await page.locator(".answer").filter({ hasText: "On Sundays we" }).waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    expect(await asked).toMatchObject({
      path: "stopped",
      text: "On Sundays we… (stopped)stopped by you",
    });
    await upstream.settled();
    await untilBeside(page, "Under way now", /^0 let in · 0 being answered/);
    expect(await page.locator("#text:focus").count()).toBe(1);
    upstream.answerWith(answering("Here again."));
    expect((await say(page, "Hello?")).path).toBe("AI");
    // What was stopped is no part of the conversation.
    expect(upstream.requests.at(-1)?.body).not.toContain("And on Sundays?");
    expect(complaints).toEqual([]);
  });

  it("that a kill ends say so, and the next one is the legacy handler's", async () => {
    const { page, upstream, complaints } = await opened();
    upstream.answerWith(flowing("On Sundays we"));
    const asked = say(page, "And on Sundays?");
    await page.locator(".answer").filter({ hasText: "On Sundays we" }).waitFor();
    await page.getByRole("button", { name: "Kill the AI path" }).click();
    expect((await asked).text).toContain("On Sundays we… (not complete: KILLED)");
    await upstream.settled();
    const next = await say(page, "Hello?");
    expect(next.path).toBe("legacy");
    expect(next.why).toContain("KILLED");
    expect(complaints).toEqual([]);
  });

  it("come from the second provider while the first one is broken", async () => {
    const { page } = await openChatPage(browser, {
      flags:
        "FF_CHAT_GATEWAY_ENABLED=true\nFEATURE_CHAT_AI=true\nFF_PROVIDER_FAILOVER_ENABLED=true\n",
      env: { OPENAI_API_KEY: "", OPENAI_BASE_URL: "" },
    });
    await state(page, "AI path open");
    await page.getByRole("button", { name: "Break the first provider" }).click();
    await page.getByRole("button", { name: "Mend the first provider" }).waitFor();
    const answer = await say(page, "Who is there?");
    expect(answer.why).toContain("by custom (stood in)");
    expect(answer.text).toContain("The second local model");
    expect((await say(page, "When are you open on Saturday?")).text).toContain('"from":"09:00"');
  });
});
