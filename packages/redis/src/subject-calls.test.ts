import { randomUUID } from "node:crypto";
import { afterAll, describe, expect, it } from "vitest";
import { idLength } from "./ids.ts";
import { connectRedis } from "./redis-client.ts";
import { scriptRunner } from "./run-script.ts";
import { createSubjectCalls, type SubjectCall } from "./subject-calls.ts";
import { admitted, claimed, full, ownedByAnother, superseded } from "./subject-lease-script.ts";

const client = connectRedis({ url: "redis://127.0.0.1:6379", random: () => 0.5 });
afterAll(() => client.disconnect());
const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>();
client.once("ready", becomeReady);

/** Two processes and one subject, at a time that stands still. */
async function open() {
  await ready;
  const lists = `{t${randomUUID()}}:in`;
  const place = { subject: "anna", counted: { shard: lists, set: undefined, lists } };
  const callsOf = (instanceId: string) => {
    const calls = createSubjectCalls({
      run: scriptRunner(client).run,
      instanceId,
      claimMs: 5000,
      leaseMs: 30_000,
      limit: 2,
      scriptTime: () => "1000000000000",
      beforeSend: () => undefined,
    });
    return async (what: SubjectCall["what"], number: number, more: Partial<SubjectCall> = {}) => {
      const answer = await calls.send({
        what,
        claimKey: `${lists}:own`,
        place,
        number,
        mode: "enforce",
        id: `${instanceId}:${number}`.padEnd(idLength, "-"),
        isAlone: true,
        ids: [],
        ...more,
      });
      if (typeof answer === "string") throw new Error(answer);
      return answer;
    };
  };
  return { one: callsOf("one"), two: callsOf("two") };
}

describe("what comes late or twice", () => {
  it("gives up no claim that was made after it", async () => {
    const { one, two } = await open();
    await one("acquire", 1);
    expect(await one("acquire", 5)).toMatchObject({ status: claimed });
    expect(await one("leave", 4)).toMatchObject({ status: superseded });
    expect(await two("acquire", 1)).toMatchObject({ status: ownedByAnother });
    expect(await one("leave", 6)).toMatchObject({ isWanted: true });
    expect(await two("acquire", 2)).toMatchObject({ status: admitted });
  });

  it("prolongs no claim of another", async () => {
    const { one, two } = await open();
    await one("acquire", 1);
    await one("leave", 2);
    expect(await two("acquire", 1)).toMatchObject({ status: claimed });
    expect(await one("renew", 1)).toMatchObject({ status: ownedByAnother });
    expect(await two("renew", 2)).toMatchObject({ status: claimed, isWanted: false });
  });

  it("counts a request once", async () => {
    const { one, two } = await open();
    await one("acquire", 1);
    await two("acquire", 1);
    await one("leave", 2, { ids: ["one:a".padEnd(idLength, "-")] });
    await one("leave", 2, { ids: ["one:a".padEnd(idLength, "-")] });
    for (let turn = 0; turn < 2; turn += 1) {
      expect(await two("acquire", 3)).toMatchObject({ status: admitted, inSet: 2 });
    }
    expect(await two("acquire", 4)).toMatchObject({ status: full, inSet: 2 });
  });

  it("shares nothing that its process still counts in its memory", async () => {
    const { one, two } = await open();
    await one("acquire", 1);
    await two("acquire", 1);
    expect(await one("acquire", 2, { isAlone: false })).toMatchObject({
      status: claimed,
      isWanted: true,
    });
    expect(await two("acquire", 2)).toMatchObject({ status: ownedByAnother });
    // With nothing in its memory it gives the claim up by asking.
    expect(await one("acquire", 3)).toMatchObject({ status: admitted, inSet: 1 });
    expect(await two("acquire", 3)).toMatchObject({ status: admitted, inSet: 2 });
  });
});
