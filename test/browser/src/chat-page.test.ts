import { tmpdir } from "node:os";
import { join } from "node:path";
import { sendJson } from "@sluice/testkit";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  answering,
  flowing,
  frame,
  lacksChromium,
  launchChromium,
  open,
  openChatPage,
  say,
  state,
} from "./open-chat-page.ts";

describe.skipIf(lacksChromium)("the chat page", { timeout: 60_000 }, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  }, 60_000);
  afterAll(async () => {
    await browser.close();
  });
  const opened = () => openChatPage(browser);

  it("shows which path answered and why, kills, restores and follows the flags file", async () => {
    const { page, upstream, complaints, editFlags } = await opened();
    await state(page, "AI path open at 100 %");

    const byModel = await say(page, "When are you open?");
    expect(byModel.path).toBe("AI");
    expect(byModel.why).toMatch(/SUCCEEDED by openai · first word \d+ ms · \d+ ms/);
    expect(byModel.text).toContain("Seven days a week.");

    await page.getByRole("button", { name: "Kill the AI path" }).click();
    await state(page, "AI path shut: KILLED");
    const asked = upstream.requests.length;
    const killed = await say(page, "And on Sundays?");
    expect(killed.path).toBe("legacy");
    expect(killed.why).toContain("KILLED");
    expect(upstream.requests.length).toBe(asked);

    await page.screenshot({ path: join(tmpdir(), "sluice-chat-page.png"), fullPage: true });

    await page.getByRole("button", { name: "Restore the AI path" }).click();
    await state(page, "AI path open");
    expect((await say(page, "Really?")).path).toBe("AI");

    await editFlags(open.replace("ENABLED=true", "ENABLED=false"));
    await state(page, "gateway off");
    const legacy = await say(page, "Hello?");
    expect(legacy.path).toBe("legacy");
    expect(legacy.why).toContain("the gateway is off");

    await editFlags(open.replace("KILL=false", "KILL=flase"));
    await page.getByText("CHAT_AI_KILL is malformed, read as true").waitFor();
    expect(complaints).toEqual([]);
  });

  it("shows what a model wrote as text, never as a page", async () => {
    const { page, upstream, complaints } = await opened();
    await state(page, "AI path open");
    const markup =
      "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>";
    upstream.answerWith(answering(markup));
    expect((await say(page, markup)).text).toContain(markup);
    expect(await page.locator("main img, main script").count()).toBe(0);
    expect(await page.title()).toBe("Guarded chat");
    expect(complaints).toEqual([]);
  });

  it("shows the model's text as it flows, and a kill in the middle of it", async () => {
    const { page, upstream, complaints } = await opened();
    await state(page, "AI path open");
    let goOn: (() => void) | undefined;
    upstream.answerWith((res) => {
      res.writeHead(200, { "content-type": "text/event-stream" });
      res.write(frame({ content: "Seven " }));
      goOn = () => {
        res.write(frame({ content: "days." }));
        res.end(frame({}, "stop"));
      };
    });
    const asked = say(page, "When are you open?");
    await page
      .locator(".answer")
      .filter({ hasText: /^Seven\s*$/ })
      .waitFor();
    goOn?.();
    expect((await asked).text).toContain("Seven days.");

    upstream.answerWith(flowing("On Sundays we"));
    const cut = say(page, "And on Sundays?");
    await page.locator(".answer").filter({ hasText: "On Sundays we" }).waitFor();
    await page.getByRole("button", { name: "Kill the AI path" }).click();
    expect(await cut).toMatchObject({ path: "failed" });
    expect((await cut).text).toContain("On Sundays we… (not complete: KILLED)");
    await upstream.settled();
    expect(complaints).toEqual([]);
  });

  it("shows a failure by its code, and goes on", async () => {
    const { page, upstream } = await opened();
    await state(page, "AI path open");
    upstream.answerWith((res) => sendJson(res, { error: { message: "no" } }, 500));
    const failed = await say(page, "Hello?");
    expect(failed).toMatchObject({ path: "failed" });
    expect(failed.text).toContain("PROVIDER_UNAVAILABLE");
    upstream.answerWith(answering("Here again."));
    expect((await say(page, "Hello?")).path).toBe("AI");
  });

  it("goes on for longer than one request may be, with the last answer in sight", async () => {
    const { page } = await opened();
    await state(page, "AI path open");
    for (let i = 0; i < 52; i += 1) expect((await say(page, `Question ${i}`)).path).toBe("AI");
    const last = await page.locator(".answer").last().boundingBox();
    const field = await page.getByLabel("Your message").boundingBox();
    expect(field?.y).toBeLessThan(700);
    expect(Number(last?.y) + Number(last?.height)).toBeLessThanOrEqual(Number(field?.y));
  });

  it("says when the app is gone, and asks again when it is told to", async () => {
    const { page, app } = await opened();
    await state(page, "AI path open");
    await app.kill();
    await page.getByLabel("Your message").fill("Anybody?");
    await page.keyboard.press("Enter");
    await page.locator(".answer").filter({ hasText: "The app does not answer." }).waitFor();
    await state(page, "the app does not answer");
    expect(await page.locator("#flag-heard").textContent()).toBe("does not answer");
    expect(await page.getByRole("button", { name: "Send" }).isEnabled()).toBe(true);
  });

  it("fits a small screen", async () => {
    const { page } = await opened();
    await state(page, "AI path open");
    await page.setViewportSize({ width: 320, height: 560 });
    await say(page, "A long word: ".concat("x".repeat(200)));
    await page.screenshot({ path: join(tmpdir(), "sluice-chat-page-small.png"), fullPage: true });
    for (const part of ["header", "main", "form", "#send", "#kill"]) {
      const box = await page.locator(part).boundingBox();
      expect(Number(box?.x), part).toBeGreaterThanOrEqual(0);
      expect(Number(box?.x) + Number(box?.width), part).toBeLessThanOrEqual(320);
      expect(Number(box?.y) + Number(box?.height), part).toBeLessThanOrEqual(560);
    }
  });
});
