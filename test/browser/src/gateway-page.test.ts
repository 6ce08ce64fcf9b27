import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  lacksChromium,
  launchChromium,
  open,
  openChatPage,
  say,
  state,
  untilBeside,
} from "./open-chat-page.ts";

const legacyReply = "Hello! Ask about billing or your account.";

const flip = (page: Page, name: string): Promise<void> =>
  page.getByRole("switch", { name, exact: true }).click();
const isOn = (page: Page, name: string, on: boolean): Promise<void> =>
  page.getByRole("switch", { name, exact: true, checked: on }).waitFor();

/** Run in the page: what is wider inside than it is. */
const overflowing = `
  Array.from(document.querySelectorAll("html, aside, #switches li, #switches code, aside dd, header"))
    .filter((part) => part.scrollWidth > part.clientWidth)
    .map((part) => part.tagName + "#" + part.id)`;

/** Run in the page: the worst ratio of a text's luminance to that of the ground behind it, as WCAG 2 has it. */
const worstContrast = `(() => {
  const luminance = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).map((part) => {
      const share = Number(part) / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const groundOf = (part) => {
    const ground = getComputedStyle(part).backgroundColor;
    return ground === "rgba(0, 0, 0, 0)" ? groundOf(part.parentElement) : luminance(ground);
  };
  return Math.min(...Array.from(document.querySelectorAll("body *"), (part) => {
    const [text, ground] = [luminance(getComputedStyle(part).color), groundOf(part)];
    return (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
  }));
})()`;

describe.skipIf(lacksChromium)("the gateway on the chat page", { timeout: 60_000 }, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  }, 60_000);
  afterAll(async () => {
    await browser.close();
  });

  it("goes through its stages by its switches, while people chat", async () => {
    const { page, upstream, complaints, readFlags } = await openChatPage(browser, {
      flags: `# mine\n${open.replace("ENABLED=true", "ENABLED=false")}`,
      env: { CHAT_SHADOW_MIRROR_PERCENT: "100" },
    });
    await state(page, "gateway off");
    await page.getByText("Legacy. The old handler answers, as if there were no gateway.").waitFor();
    const untouched = await say(page, "Hello");
    expect(untouched).toMatchObject({ path: "legacy", why: "legacy the gateway is off" });
    expect(upstream.requests).toHaveLength(0);

    await flip(page, "Shadow");
    await isOn(page, "Shadow", true);
    await flip(page, "Gateway");
    await state(page, "shadow, the legacy handler answers");
    await page.getByText("Shadow. The old handler answers.").waitFor();
    const watched = await say(page, "Hello");
    expect(watched).toEqual({
      path: "legacy",
      why: "legacy the gateway watches",
      text: `${legacyReply}legacy the gateway watches`,
    });
    await untilBeside(page, "Shadow: checked", /^let in 1$/);
    await untilBeside(page, "Shadow: mirrored", /^answered 1 · compared 1$/);
    await untilBeside(page, "Answers", /^legacy 2$/);
    expect(upstream.requests).toHaveLength(1);

    await flip(page, "Shadow");
    await state(page, "AI path open at 100 %");
    await page.getByText("Authoritative. The gateway answers.").waitFor();
    const guarded = await say(page, "Hello");
    expect(guarded).toMatchObject({ path: "AI" });
    await untilBeside(page, "Answers", /^(?=.*\bAI 1\b)(?=.*\blegacy 2\b)/);
    await untilBeside(
      page,
      "Limits when last asked",
      /^this visitor's answers 1 of 4 · all answers 1 of 200/,
    );

    await flip(page, "Gateway");
    await state(page, "gateway off");
    expect((await say(page, "Hello")).why).toContain("the gateway is off");
    expect(await readFlags()).toBe(
      `# mine\n${open.replace("ENABLED=true", "ENABLED=false")}FF_CHAT_GATEWAY_SHADOW=false\n`,
    );
    expect(complaints).toEqual([]);
  });

  it("refuses with a sentence once a limit is enforced, and counts whom it would before", async () => {
    const { page, upstream, complaints } = await openChatPage(browser);
    await state(page, "AI path open");
    const held: (() => void)[] = [];
    upstream.answerWith((res) => void held.push(() => res.destroy()));
    const burst = page.getByRole("button", { name: "Ask five at once" });
    await burst.click();
    await upstream.received(5);
    await untilBeside(page, "Under way now", /^5 let in · 5 being answered/);
    await page.getByRole("button", { name: "Stop" }).click();
    await page.locator(".answer", { hasText: "(stopped)" }).nth(4).waitFor();
    await untilBeside(page, "Would have refused", "USER_IN_FLIGHT 1");
    await untilBeside(page, "Under way now", /^0 let in · 0 being answered/);

    await flip(page, "Limits");
    await flip(page, "Answers of one visitor at a time");
    await page.getByText("More than 4 are refused: 429.").waitFor();
    await burst.click();
    await upstream.received(9);
    const refused = page.locator(".answer", {
      hasText: "Your other answers are still being written. Please try again in 1 second.",
    });
    await refused.waitFor();
    expect(await refused.locator(".why").textContent()).toContain("refused USER_IN_FLIGHT");
    await untilBeside(page, "Refused by limit", /^USER_IN_FLIGHT 1$/);
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByRole("button", { name: "Send" }).waitFor();
    expect(complaints.filter((line) => !line.includes("429"))).toEqual([]);
  });

  it("shows all ten switches, which a keyboard reaches and turns", async () => {
    const { page, readFlags } = await openChatPage(browser);
    await state(page, "AI path open");
    expect(await page.getByRole("switch").count()).toBe(10);
    for (const row of await page.locator("#switches li").allInnerTexts()) {
      expect(row).toMatch(/^[^\n]+\n[A-Z_]+\n[A-Z][^\n]+\.\nO(?:n|ff)$/);
    }
    await page.getByRole("switch", { name: "Tool queue" }).focus();
    await page.keyboard.press("Space");
    await isOn(page, "Tool queue", true);
    expect(await page.locator("#FF_TOOL_QUEUE_ENFORCE:focus").count()).toBe(1);
    expect(await readFlags()).toContain("FF_TOOL_QUEUE_ENFORCE=true\n");
    await page.keyboard.press("Enter");
    await isOn(page, "Tool queue", false);
  });

  it.each([
    [1280, 800],
    [360, 740],
  ])("can be read at %i × %i, and fits", async (width, height) => {
    const { page } = await openChatPage(browser, { viewport: { width, height } });
    await state(page, "AI path open");
    await say(page, "Hello");
    await flip(page, "Limits");
    await isOn(page, "Limits", true);
    expect(await page.evaluate<string[]>(overflowing)).toEqual([]);
    expect(await page.evaluate<number>(worstContrast)).toBeGreaterThanOrEqual(4.5);
  });
});
