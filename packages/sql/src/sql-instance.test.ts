import { ConfigError, type Confirmation } from "@sluice/contract";
import { FakeClock } from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import type { SqlDatabase } from "./database.ts";
import { sqlInstance, type InstanceProblem, type SqlInstanceOptions } from "./sql-instance.ts";

interface Sent {
  readonly text: string;
  readonly parameters: readonly unknown[];
  readonly answer: () => void;
  readonly fail: (error: unknown) => void;
}

/** A database that answers when told to. */
function fakeDatabase() {
  const sent: Sent[] = [];
  const db: SqlDatabase = {
    kind: "postgres",
    query: (text, parameters = []) =>
      new Promise((resolve, reject) => {
        const answer = () => resolve({ rows: [], affected: 1 });
        sent.push({ text, parameters, answer, fail: reject });
      }),
    exec: () => Promise.reject(new Error("not used")),
    transaction: () => Promise.reject(new Error("not used")),
    listen: () => Promise.reject(new Error("not used")),
    close: () => Promise.resolve(),
  };
  return { db, sent };
}

async function beating(options: Partial<SqlInstanceOptions> = {}) {
  const clock = new FakeClock();
  const { db, sent } = fakeDatabase();
  const problems: InstanceProblem[] = [];
  const versions = new Map<string, number | undefined>();
  const listeners = new Set<() => void>();
  let confirmed: Confirmation = { monotonicMs: -Infinity, wallMs: -Infinity };
  const instance = sqlInstance(db, {
    clock,
    id: "i",
    flags: {
      versions: () => versions,
      onChange(listener) {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
      confirmedAt: () => confirmed,
    },
    onProblem: (problem) => problems.push(problem),
    ...options,
  });
  const settle = () => clock.advanceAsync(0);
  await settle();
  return {
    clock,
    sent,
    problems,
    instance,
    listeners,
    settle,
    last: () => sent.at(-1),
    applied: () => JSON.parse(String(sent.at(-1)?.parameters[1])) as { feature: string }[],
    confirm: () => (confirmed = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() }),
    change: async (next: Record<string, number | undefined>) => {
      for (const [feature, version] of Object.entries(next)) versions.set(feature, version);
      for (const listener of listeners) listener();
      await settle();
    },
    remove: (feature: string) => versions.delete(feature),
    answer: async () => {
      sent.at(-1)?.answer();
      await settle();
    },
    fail: async (code: string) => {
      sent.at(-1)?.fail(Object.assign(new Error("secret"), { code }));
      await settle();
    },
  };
}

describe("sqlInstance", () => {
  it("beats at once and at each interval, without keeping the process alive", async () => {
    const { clock, sent, answer, settle, instance } = await beating({ beatMs: 100 });
    expect(sent).toHaveLength(1);
    await answer();
    await clock.advanceAsync(100);
    expect(sent).toHaveLength(2);
    await answer();
    const closed = instance.close();
    await settle();
    await answer();
    await closed;
    expect(clock.pendingTimers).toBe(0);
  });

  it("writes after a change at once, and one at a time however many come", async () => {
    const { clock, sent, answer, change, applied } = await beating();
    await answer();
    await change({ a: 1 });
    expect(sent).toHaveLength(2);
    await change({ a: 2 });
    await change({ a: 3 });
    await clock.advanceAsync(20_000);
    expect(sent).toHaveLength(2);
    await answer();
    expect(sent).toHaveLength(3);
    expect(applied()).toEqual([{ feature: "a", version: 3, ago_ms: 20_000 }]);
    await answer();
    expect(sent).toHaveLength(3);
  });

  it("tells when a version was applied, not when it was written", async () => {
    const { clock, answer, change, applied } = await beating({ beatMs: 100 });
    await change({ a: 1, none: undefined });
    await clock.advanceAsync(40);
    await answer();
    expect(applied()).toEqual([{ feature: "a", version: 1, ago_ms: 40 }]);
  });

  it("keeps the thousand features that changed last, and none whose row is gone", async () => {
    const { answer, change, applied, remove } = await beating();
    await answer();
    await change(Object.fromEntries(Array.from({ length: 1001 }, (_, at) => [`f${at}`, 1])));
    await answer();
    expect(applied()).toHaveLength(1000);
    expect(applied()[0]?.feature).toBe("f1");
    remove("f2");
    await change({ f0: 2 });
    const features = applied().map(({ feature }) => feature);
    expect(features.at(-1)).toBe("f0");
    expect(features).toContain("f1");
    expect(features).not.toContain("f2");
  });

  it("tells how old the flags are, and nothing of it before they were read", async () => {
    const { clock, last, answer, confirm } = await beating({ beatMs: 100 });
    expect(last()?.parameters[2]).toBeNull();
    await answer();
    confirm();
    await clock.advanceAsync(100);
    expect(last()?.parameters[2]).toBe(100);
  });

  it("tells of a failure once, without its text, and once that it beats again", async () => {
    const { clock, problems, answer, fail } = await beating({ beatMs: 100 });
    await fail("42P01");
    await clock.advanceAsync(100);
    await fail("42501");
    expect(problems).toEqual([{ state: "failing", code: "42P01" }]);
    await clock.advanceAsync(100);
    await answer();
    await clock.advanceAsync(100);
    await answer();
    expect(problems.slice(1)).toEqual([{ state: "beating", code: undefined }]);
  });

  it("beats on where its observer or the database throws", async () => {
    const { clock, sent, fail } = await beating({
      beatMs: 100,
      onProblem: () => {
        throw new Error("observer");
      },
    });
    await fail("42P01");
    await clock.advanceAsync(100);
    expect(sent).toHaveLength(2);
  });

  it("takes its row away after the write that is under way, and writes no more", async () => {
    const { sent, answer, instance, listeners, change } = await beating();
    await change({ a: 1 });
    const closed = instance.close();
    expect(listeners.size).toBe(0);
    expect(sent).toHaveLength(1);
    await answer();
    expect(sent).toHaveLength(2);
    expect(sent[1]?.text).toMatch(/^DELETE/u);
    await answer();
    await closed;
    await instance.close();
    expect(sent).toHaveLength(2);
  });

  it("closes within its deadline where the database does not answer", async () => {
    const { clock, instance } = await beating({ closeMs: 50 });
    let isClosed = false;
    void instance.close().then(() => (isClosed = true));
    await clock.advanceAsync(49);
    expect(isClosed).toBe(false);
    await clock.advanceAsync(1);
    expect(isClosed).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  it("closes where its row can't be taken away", async () => {
    const { answer, fail, settle, instance } = await beating();
    await answer();
    const closed = instance.close();
    await settle();
    await fail("42501");
    await expect(closed).resolves.toBeUndefined();
  });

  it.each(["", "x".repeat(129), "a\nb"])(
    "refuses an id that is no short line of text: %j",
    async (id) => {
      await expect(beating({ id })).rejects.toThrow(ConfigError);
    },
  );
});
