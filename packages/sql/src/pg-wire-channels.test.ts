import { describe, expect, it } from "vitest";
import { channelScript, createWireChannels } from "./pg-wire-channels.ts";

describe("what a connection listens to", () => {
  it("is what its statements say, as PostgreSQL reads names, once they were carried out", () => {
    const channels = createWireChannels();
    channels.follow('LISTEN News; listen "Odd ""one"; Listen größe_1$', ["LISTEN"]);
    channels.follow("listen failed", ["ROLLBACK"]);
    channels.follow("select 'listen other'", ["SELECT 1"]);
    expect([...channels.names]).toEqual(["news", 'Odd "one', "größe_1$"]);
    channels.follow("unlisten NEWS", ["UNLISTEN"]);
    expect([...channels.names]).toEqual(['Odd "one', "größe_1$"]);
    channels.follow("unlisten *", ["UNLISTEN"]);
    expect([...channels.names]).toEqual([]);
    channels.follow("listen a", ["LISTEN"]);
    channels.follow("discard all", ["DISCARD ALL"]);
    expect([...channels.names]).toEqual([]);
  });

  it("is 64 channels at most", () => {
    const channels = createWireChannels();
    for (let count = 0; count < 100; count += 1) channels.follow(`listen c${count}`, ["LISTEN"]);
    expect(channels.names.size).toBe(64);
  });

  it("is written as statements that name the same channels", () => {
    expect(channelScript("listen", ['Odd "one', "news"])).toBe(
      'listen "Odd ""one"; listen "news";',
    );
  });
});
