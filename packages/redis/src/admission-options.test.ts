import { ConfigError } from "@sluice/contract";
import { FakeClock } from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import { parseAdmissionOptions, type RedisAdmissionOptions } from "./admission-options.ts";

/** What the parser never calls. */
const client = { evalsha: () => 0, eval: () => 0, on: () => 0 } as unknown as NonNullable<
  RedisAdmissionOptions["client"]
>;
const good: RedisAdmissionOptions = {
  client,
  clock: new FakeClock(),
  random: () => 0,
  instanceId: "p-1",
  namespace: "faq",
  secret: "sixteen characters",
};
const rate = { count: 5, perMs: 1000 };

const withToolCandidate = () =>
  // @ts-expect-error -- there is no such option
  parseAdmissionOptions({ ...good, toolRate: { ...rate, candidate: rate } });

describe("a candidate limit", () => {
  it("is observed beside messages", () => {
    const { messageRate } = parseAdmissionOptions({
      ...good,
      messageRate: { ...rate, candidate: { count: 4, perMs: 1000 } },
    });
    expect(messageRate?.candidate).toEqual({ count: 4, perMs: 1000 });
  });

  it("of tool calls is refused, because nothing would observe it", () => {
    expect(withToolCandidate).toThrow(ConfigError);
    expect(withToolCandidate).toThrow(
      /^redisAdmission\.toolRate\.candidate: got an unknown option, expected only documented options$/,
    );
  });
});
