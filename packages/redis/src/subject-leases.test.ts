import { randomUUID } from "node:crypto";
import type { AdmissionLease } from "@sluice/contract";
import { FakeClock } from "@sluice/testkit";
import { afterAll, describe, expect, it } from "vitest";
import type { RedisAdmissionOptions } from "./admission-options.ts";
import { startFleet, type Member } from "./fleet-for-tests.ts";
import { createKeys } from "./keys.ts";
import { connectRedis } from "./redis-client.ts";

const client = connectRedis({ url: "redis://127.0.0.1:6379", random: () => 0.5 });
client.setMaxListeners(0);
afterAll(() => client.disconnect());
const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>();
client.once("ready", becomeReady);

const claimMs = 600;
const hopMs = claimMs / 3;
const limit = 3;

async function start(options: Partial<RedisAdmissionOptions> = {}) {
  await ready;
  return startFleet({
    client,
    hopMs,
    newClock: () => new FakeClock(),
    newId: randomUUID,
    options: {
      leaseMs: 3000,
      userInFlight: { limit },
      globalInFlight: { limit: 10_000 },
      globalBlocks: { processes: 5 },
      subjectLeases: { leaseMs: claimMs },
      ...options,
    },
  });
}

type Reply = Awaited<ReturnType<Member["store"]["acquire"]>>;

async function admitted(replying: Reply | Promise<Reply>): Promise<AdmissionLease> {
  const reply = await replying;
  if (reply === "unavailable" || !reply.admitted) throw new Error("it was not admitted");
  return reply.lease;
}
const admit = (member: Member, subject = "anna"): Promise<AdmissionLease> =>
  admitted(member.store.acquire(subject));
const isAtOnce = (reply: unknown): boolean => !(reply instanceof Promise);
const refused = { admitted: false, reason: "USER_IN_FLIGHT", violated: ["user_in_flight"] };

describe("a subject that comes to one process", () => {
  it("is claimed in one trip, and then decided here with none while the block has room", async () => {
    const fleet = await start();
    const one = fleet.join();
    // The block of places is there once somebody asked for one.
    (await admit(one, "ben")).release();
    const before = one.trips;
    const leases = [await admit(one)];
    expect(one.trips).toBe(before + 1);
    let atOnce = 0;
    for (let n = 0; n < 200; n += 1) {
      const reply = one.store.acquire("anna");
      if (isAtOnce(reply)) atOnce += 1;
      leases.push(await admitted(reply));
      leases.shift()?.release();
    }
    expect(atOnce).toBe(200);
    while (leases.length < limit) leases.push(await admit(one));
    expect(one.store.acquire("anna")).toMatchObject({
      ...refused,
      states: [{ dimension: "user_in_flight", mode: "enforce", limit, remaining: 0, resetMs: 0 }],
    });
    expect(one.trips).toBe(before + 1);
    expect(one.store.state().leases).toBe(leases.length);
    one.store.close();
  });

  it("gives the place in the block back where it refuses", async () => {
    // One process of one: a block is half of what is 5 % of the limit.
    const fleet = await start({ globalInFlight: { limit: 40 }, globalBlocks: { processes: 1 } });
    const one = fleet.join();
    for (let n = 0; n < limit; n += 1) await admit(one);
    for (let n = 0; n < 100; n += 1) expect(await one.store.acquire("anna")).toMatchObject(refused);
    for (let n = limit; n < 40; n += 1) await admit(one, `user-${n}`);
    expect(await one.store.acquire("zoe")).toMatchObject({ reason: "GLOBAL_IN_FLIGHT" });
    one.store.close();
  });

  it("asks once for all who come at the same time", async () => {
    const fleet = await start();
    const one = fleet.join();
    (await admit(one, "ben")).release();
    const before = one.trips;
    const replies = await Promise.all(
      Array.from({ length: 50 }, async () => one.store.acquire("anna")),
    );
    expect(replies.filter((reply) => reply !== "unavailable" && reply.admitted)).toHaveLength(
      limit,
    );
    // Its claim, and a block for the others.
    expect(one.trips).toBeLessThanOrEqual(before + 4);
    one.store.close();
  });

  it("counts a request for as long as its lease: renewed it goes on, else it is over", async () => {
    const fleet = await start();
    const one = fleet.join();
    const kept = await admit(one);
    for (let n = 1; n < limit; n += 1) await admit(one);
    await fleet.pass(2000);
    kept.renew();
    await fleet.pass(1000);
    expect(one.store.state().leases).toBe(1);
    for (let n = 1; n < limit; n += 1) await admit(one);
    expect(await one.store.acquire("anna")).toMatchObject(refused);
    one.store.close();
  });
});

describe("a subject that another process has", () => {
  it("is refused until the owner hears of it, a third of the lease at most, and then shared", async () => {
    const fleet = await start();
    const [one, two] = [fleet.join(), fleet.join()];
    const lease = await admit(one);
    await admit(one);
    const reply = await two.store.acquire("anna");
    expect(reply).toMatchObject({ ...refused, retryAfterMs: claimMs / 3 });
    expect(reply).not.toHaveProperty("states");
    await fleet.pass(claimMs / 3);
    // What the first let in counts on.
    await admit(two);
    expect(await two.store.acquire("anna")).toMatchObject(refused);
    expect(await one.store.acquire("anna")).toMatchObject(refused);
    lease.release();
    await one.store.flush();
    await admit(one);
    expect(await two.store.acquire("anna")).toMatchObject(refused);
    for (const { store } of [one, two]) store.close();
  });

  it("is claimed by whoever asks for it alone, with what others still have", async () => {
    const fleet = await start();
    const [one, two] = [fleet.join(), fleet.join()];
    const left = await admit(one);
    await two.store.acquire("anna");
    await fleet.pass(claimMs / 3);
    (await admit(two)).release();
    await fleet.pass(claimMs);
    (await admit(two)).release();
    const first = two.store.acquire("anna");
    expect(isAtOnce(first)).toBe(true);
    expect(isAtOnce(two.store.acquire("anna"))).toBe(true);
    expect(await two.store.acquire("anna")).toMatchObject(refused);
    // What Redis knew of the other is looked at again before anybody is refused for it.
    left.release();
    await one.store.flush();
    expect(await two.store.acquire("anna")).toMatchObject({ admitted: true });
    for (const { store } of [one, two]) store.close();
  });

  it("is free at once where nobody has used it for a lease", async () => {
    const fleet = await start();
    const [one, two] = [fleet.join(), fleet.join()];
    (await admit(one)).release();
    await fleet.pass(claimMs + hopMs);
    expect(await two.store.acquire("anna")).toMatchObject({ admitted: true });
    for (const { store } of [one, two]) store.close();
  });

  it("is free after the lease of a process that crashed, and not before", async () => {
    const fleet = await start();
    const [one, two] = [fleet.join(), fleet.join()];
    for (let n = 0; n < limit; n += 1) await admit(one);
    one.crash();
    await fleet.pass(claimMs - 1);
    expect(await two.store.acquire("anna")).toMatchObject({ ...refused, retryAfterMs: 1 });
    await fleet.pass(1);
    await admit(two);
    two.store.close();
  });

  it("is not used by a process that stood still, and what that let in is told once it goes on", async () => {
    const fleet = await start();
    const [one, two] = [fleet.join(), fleet.join()];
    const lease = await admit(one);
    one.freeze();
    await fleet.pass(claimMs);
    await admit(two);
    one.thaw();
    expect(await one.store.acquire("anna")).toMatchObject(refused);
    // Two and one: the other hears of what goes on here with its next renewal.
    await fleet.pass(2 * hopMs);
    const replies: AdmissionLease[] = [];
    for (let n = 0; n < limit; n += 1) {
      const reply = await two.store.acquire("anna");
      if (reply !== "unavailable" && reply.admitted) replies.push(reply.lease);
    }
    expect(replies).toHaveLength(limit - 2);
    lease.release();
    await one.store.flush();
    await admit(two);
    for (const { store } of [one, two]) store.close();
  });

  it("is not used by an owner whose answer was overtaken by what it gave up", async () => {
    const fleet = await start();
    const [one, two] = [fleet.join(), fleet.join()];
    await admit(one);
    one.hold("commands");
    await fleet.pass(claimMs);
    const pending = one.store.acquire("anna");
    await fleet.pass(hopMs);
    one.open();
    expect(await pending).toMatchObject({ admitted: true });
    expect(await two.store.acquire("anna")).toMatchObject(refused);
    expect(isAtOnce(one.store.acquire("anna"))).toBe(true);
    for (const { store } of [one, two]) store.close();
  });

  it("is never more than the limit where three ask for it in turn", async () => {
    const fleet = await start();
    const members = [fleet.join(), fleet.join(), fleet.join()];
    const live: AdmissionLease[] = [];
    let served = 0;
    for (let n = 0; n < 60; n += 1) {
      const reply = await members[n % 3]?.store.acquire("anna");
      if (typeof reply === "object" && reply.admitted) {
        served += 1;
        live.push(reply.lease);
      }
      expect(live.length).toBeLessThanOrEqual(limit);
      if (n % 2 === 1) live.shift()?.release();
      await fleet.pass(100);
    }
    // Once it is known to be shared, all of them are served.
    expect(served).toBeGreaterThan(25);
    for (const { store } of members) store.close();
  });
});

describe("claims of subjects", () => {
  it("are at most so many as leases: the one that was idle for longest is given up", async () => {
    const fleet = await start({ maxLeases: 2 });
    const [one, two] = [fleet.join(), fleet.join()];
    for (const subject of ["anna", "ben", "cat"]) (await admit(one, subject)).release();
    expect(isAtOnce(one.store.acquire("cat"))).toBe(true);
    await fleet.settle();
    // Nobody has it now.
    await admit(two, "anna");
    expect(await two.store.acquire("cat")).toMatchObject(refused);
    for (const { store } of [one, two]) store.close();
  });

  it("end with the store, and nobody has to wait for them", async () => {
    const fleet = await start();
    const [one, two] = [fleet.join(), fleet.join()];
    (await admit(one)).release();
    one.store.close();
    await fleet.settle();
    expect(await two.store.acquire("anna")).toMatchObject({ admitted: true });
    two.store.close();
  });

  it("are back in Redis within a beat of it losing everything", async () => {
    const fleet = await start();
    const [one, two] = [fleet.join(), fleet.join()];
    for (let n = 0; n < limit; n += 1) await admit(one);
    const key = createKeys(fleet.namespace, "a secret of the tests").claim("anna");
    expect(await client.del(key)).toBe(1);
    await fleet.pass(hopMs);
    expect(await two.store.acquire("anna")).toMatchObject(refused);
    for (const { store } of [one, two]) store.close();
  });

  it("are used while Redis is lost until their lease is over, then onLoss counts", async () => {
    const fleet = await start();
    const one = fleet.join();
    (await admit(one)).release();
    one.hold("commands");
    await fleet.pass(claimMs - 1);
    const reply = one.store.acquire("anna");
    expect(reply).toMatchObject({ admitted: true });
    await fleet.pass(1);
    const late = one.store.acquire("anna");
    await fleet.pass(1500);
    expect(await late).toBe("unavailable");
    one.open();
    await fleet.pass(2000);
    await admit(one);
    one.store.close();
  });

  it("hold nobody up whose key somebody else made, but for that subject", async () => {
    const fleet = await start();
    const one = fleet.join();
    const wrong = createKeys(fleet.namespace, "a secret of the tests").claim("anna");
    await client.xadd(wrong, "*", "left", "behind");
    const [anna, ben] = await Promise.all([one.store.acquire("anna"), one.store.acquire("ben")]);
    expect(anna).toBe("unavailable");
    expect(ben).toMatchObject({ admitted: true });
    if (ben !== "unavailable" && ben.admitted) ben.lease.release();
    await client.del(wrong);
    await admit(one);
    one.store.close();
  });

  it("are asked for in vain while somebody else's key stands where requests in flight are counted", async () => {
    const fleet = await start();
    const one = fleet.join();
    const wrong = createKeys(fleet.namespace, "a secret of the tests").usersInFlight;
    await client.xadd(wrong, "*", "left", "behind");
    for (const subject of ["anna", "ben"]) {
      expect(await one.store.acquire(subject)).toBe("unavailable");
    }
    await client.del(wrong);
    await admit(one);
    one.store.close();
  });

  it("name nobody, have an end, and stand in the slot of their subject", async () => {
    const fleet = await start();
    const [one, two] = [fleet.join(), fleet.join()];
    await admit(one, "sentinel-subject");
    await two.store.acquire("sentinel-subject");
    await fleet.pass(hopMs);
    const [, keys] = await client.scan(
      "0",
      "MATCH",
      `{adm:${fleet.namespace}:0}*`,
      "COUNT",
      1_000_000,
    );
    expect(keys.some((key) => key.endsWith(":own"))).toBe(true);
    for (const key of keys) {
      expect(await client.pttl(key), key).toBeGreaterThan(0);
      expect(key).not.toContain("sentinel-subject");
    }
    for (const { store } of [one, two]) store.close();
  });

  it("stand on the shard of their subject", async () => {
    const fleet = await start({ shards: { count: 4 } });
    const [one, two] = [fleet.join(), fleet.join()];
    const subjects = Array.from({ length: 20 }, (_, n) => `user-${n}`);
    await Promise.all(subjects.map((subject) => admit(one, subject)));
    const replies = await Promise.all(subjects.map(async (subject) => two.store.acquire(subject)));
    for (const reply of replies) expect(reply).toMatchObject(refused);
    const [, keys] = await client.scan(
      "0",
      "MATCH",
      `{adm:${fleet.namespace}:*:own`,
      "COUNT",
      1_000_000,
    );
    expect(keys).toHaveLength(subjects.length);
    const shards = new Set(keys.map((key) => key.slice(0, key.indexOf("}"))));
    expect(shards.size).toBe(4);
    await fleet.pass(hopMs);
    await Promise.all(subjects.map((subject) => admit(two, subject)));
    for (const { store } of [one, two]) store.close();
  });

  it("tell a shadow what would have been, and refuse it nothing", async () => {
    const fleet = await start({ userInFlight: { limit: 1, mode: "shadow" } });
    const [one, two] = [fleet.join(), fleet.join()];
    await admit(one);
    const told = { admitted: true, wouldRefuse: ["USER_IN_FLIGHT"] };
    expect(await one.store.acquire("anna")).toMatchObject(told);
    expect(await two.store.acquire("anna")).toMatchObject(told);
    const off = { modes: { user_in_flight: "off" } } as const;
    for (const { store } of [one, two]) {
      expect(await store.acquire("anna", off)).toMatchObject({ admitted: true, wouldRefuse: [] });
    }
    await fleet.pass(hopMs);
    // Shared now: two are in flight that count.
    expect(await two.store.acquire("anna")).toMatchObject(told);
    for (const { store } of [one, two]) store.close();
  });
});

describe("subjectLeases", () => {
  it.each([
    [{ globalBlocks: undefined }, "no globalBlocks"],
    [{ userInFlight: undefined }, "no userInFlight"],
    [{ userInFlight: { limit, candidate: 2 } }, "a candidate of userInFlight"],
    [{ userBudget: { calls: 9 } }, "subjectLeases with a budget"],
    [{ globalBudget: { calls: 9 } }, "subjectLeases with a budget"],
    [{ heartbeat: false }, "heartbeat: false"],
  ])("are refused at start with %j", async (options, got) => {
    const fleet = await start();
    expect(() => fleet.join(options)).toThrow(/^redisAdmission\.subjectLeases[^\n]*$/);
    expect(() => fleet.join(options)).toThrow(got);
  });
});
