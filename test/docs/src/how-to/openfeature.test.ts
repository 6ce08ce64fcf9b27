import { InMemoryProvider, OpenFeature } from "@openfeature/server-sdk";
import { createGuard, staticFlags } from "@sluice/guard";
import {
  fakeProvider,
  sampleAnswer,
  sampleFeature,
  valueReply,
  type SampleJob,
} from "@sluice/testkit";
import { afterEach, describe, expect, it, vi } from "vitest";
import { askOpenFeature, flagsOfPlatform } from "./openfeature.ts";

afterEach(() => OpenFeature.clearProviders());

const flag = (value: boolean | number) => ({
  variants: { it: value } as Record<string, boolean>,
  defaultVariant: "it",
  disabled: false,
});

describe("the provider of the page", () => {
  it("answers as the guard does, for each subject", async () => {
    const flags = staticFlags({ faq_ai: { enabled: true, percent: 50 } });
    const guard = createGuard({
      ...sampleFeature,
      feature: "faq_ai",
      provider: fakeProvider<SampleJob>({ onCall: (call) => call.reply(valueReply(sampleAnswer)) }),
      flags,
    });
    const answers = new Set<boolean>();
    for (let i = 0; i < 20; i += 1) {
      const subject = `someone-${i}`;
      const { effect } = await guard.decide({ prompt: "hello" }, { subject });
      const isOpen = await askOpenFeature(flags, { id: subject });
      answers.add(isOpen);
      expect(isOpen, subject).toBe(effect === "allow");
    }
    expect(answers.size).toBe(2);
    guard.close();
  });
});

describe("the platform's flags of the page", () => {
  it("kill the guard's feature as soon as the platform does", async () => {
    const platform = new InMemoryProvider();
    const put = (killed: boolean) =>
      platform.putConfiguration({
        faq_ai: flag(true),
        faq_ai_kill: flag(killed),
        faq_ai_percent: flag(100),
      });
    put(false);
    await OpenFeature.setProviderAndWait(platform);
    const flags = flagsOfPlatform();
    const guard = createGuard({
      ...sampleFeature,
      feature: "faq_ai",
      provider: fakeProvider<SampleJob>({ onCall: (call) => call.reply(valueReply(sampleAnswer)) }),
      flags,
    });
    const decide = () => guard.decide({ prompt: "hello" }, { subject: "ann" });
    await vi.waitFor(async () => expect((await decide()).effect).toBe("allow"));
    put(true);
    await vi.waitFor(async () => expect((await decide()).reason).toBe("KILLED"));
    guard.close();
    flags.close();
  });
});
