import { spawn } from "node:child_process";
import { once } from "node:events";
import { createGuard, staticFlags } from "@sluice/guard";
import { bucketOf, isEligibleSubject } from "@sluice/policy";
import { functionProvider } from "@sluice/providers";
import { postgresAnswers, postgresForTests, sampleAnswer, sampleFeature } from "@sluice/testkit";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";

const count = 1_000_000;
const salt = "chat_ai";
const otherSalt = "slotgen_ai";
const linesAtOnce = 20_000;

/** Subjects of many scripts, both normal forms, numbers as text, awkward characters, and up to 1 KiB. */
const forms: readonly ((n: number) => string)[] = [
  (n) => `user-${n}`,
  (n) => `${n}`,
  (n) => `${n}.0`,
  (n) => `0${n}`,
  (n) => `-${n}e10`,
  (n) => `受験生${n}`,
  (n) => `학생-${n}`,
  (n) => `🧪👩🏽‍🔬${n}`,
  (n) => `${n}🇯🇵`,
  (n) => `caf\u00e9-${n}`,
  (n) => `cafe\u0301-${n}`,
  (n) => `\u1e9b\u0323${n}`,
  (n) => `with:colon:${n}`,
  (n) => `line\r\nbreak\t${n}`,
  (n) => `'quote"\\back%${n}`,
  (n) => ` ${n} `,
  (n) => `\u202e${n}\u200b`,
  (n) => `مستخدم${n}`,
  (n) => `${n}\ufeff`,
  (n) => `${n}-`.padEnd(1024, "long "),
];

const subjectOf = (n: number): string =>
  forms[n % forms.length]?.(Math.floor(n / forms.length)) ?? "";

/** How COPY's text form writes it. Source: https://www.postgresql.org/docs/15/sql-copy.html */
const escapes: Readonly<Record<string, string>> = {
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};
const toCopyText = (text: string): string =>
  text.replaceAll(/[\\\n\r\t]/g, (character) => escapes[character] ?? "");

/** As the docs have it, for a salt that is not empty. */
const bucketSql = (saltOfFeature: string): string =>
  `('x' || substr(encode(sha256(convert_to('${saltOfFeature}:' || subject, 'UTF8')), 'hex'), 1, 8))::bit(32)::bigint % 100`;

const openPsql = (connectionString: string) => {
  const args = ["--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1", "-d", connectionString];
  const psql = spawn("psql", args, { stdio: ["pipe", "pipe", "inherit"] });
  const printed: Buffer[] = [];
  psql.stdout.on("data", (chunk: Buffer) => printed.push(chunk));
  const ended = once(psql, "close");
  return {
    async write(text: string): Promise<void> {
      if (!psql.stdin.write(text)) await once(psql.stdin, "drain");
    },
    async end(): Promise<Buffer> {
      psql.stdin.end();
      expect(await ended).toEqual([0, null]);
      return Buffer.concat(printed);
    },
  };
};

const skipped = process.env["CI"] !== "true" && !postgresAnswers();
const title = `a million subjects${skipped ? " (skipped: no server answers psql)" : ""}`;

// oxlint-disable-next-line vitest/valid-title -- says whether it is skipped
describe.skipIf(skipped)(title, { timeout: 120_000 }, () => {
  const buckets = new Uint8Array(count);
  const otherBuckets = new Uint8Array(count);

  beforeAll(() => {
    for (let n = 0; n < count; n += 1) {
      const subject = subjectOf(n);
      if (!isEligibleSubject(subject)) throw new Error(`subject ${n} is not eligible`);
      buckets[n] = bucketOf(salt, subject);
      otherBuckets[n] = bucketOf(otherSalt, subject);
    }
  }, 120_000);

  it("I10 are in the same buckets here and in psql", async () => {
    const { connectionString, drop } = postgresForTests();
    try {
      const psql = openPsql(connectionString);
      await psql.write("CREATE UNLOGGED TABLE asked (n integer, subject text, bucket integer);\n");
      await psql.write("COPY asked FROM STDIN;\n");
      for (let from = 0; from < count; from += linesAtOnce) {
        const lines = Array.from({ length: linesAtOnce }, (_, i) => {
          const n = from + i;
          return `${n}\t${toCopyText(subjectOf(n))}\t${buckets[n]}\n`;
        });
        await psql.write(lines.join(""));
      }
      await psql.write("\\.\n");
      await psql.write(
        `SELECT count(*), count(*) FILTER (WHERE ${bucketSql(salt)} <> bucket),
           count(*) FILTER (WHERE ${bucketSql(otherSalt)} <> bucket) > 980000 FROM asked;\n`,
      );
      expect((await psql.end()).toString().trim()).toBe(`${count}|0|t`);
    } finally {
      drop();
    }
  });

  it("I10 are let in a hundredth at a time", () => {
    const sizes = new Uint32Array(100);
    for (const bucket of buckets) sizes[bucket] = (sizes[bucket] ?? 0) + 1;
    // 99 degrees of freedom; chance exceeds 149 once in a thousand.
    expect(chiSquare(sizes)).toBeLessThan(149);
  });

  it("I10 are let in by a guard as SQL says, and stay in however far it widens", async () => {
    const flags = staticFlags({ [salt]: { enabled: true, percent: 0 } });
    const guard = createGuard({
      ...sampleFeature,
      feature: salt,
      flags,
      provider: functionProvider(() => Promise.resolve(sampleAnswer)),
      sinks: [() => 0],
    });
    onTestFinished(() => guard.close());
    const asked = Array.from({ length: count / 500 }, (_, i) => i * 499);
    let before: ReadonlySet<number> = new Set();
    for (const percent of [0, 1, 5, 20, 50, 99, 100]) {
      flags.set(salt, { percent });
      const letIn = new Set<number>();
      for (const n of asked) {
        const outcome = await guard.run({ prompt: "hello" }, { subject: subjectOf(n) });
        if (outcome.status === "SUCCEEDED") letIn.add(n);
      }
      expect(letIn).toEqual(new Set(asked.filter((n) => (buckets[n] ?? 0) < percent)));
      expect([...before].filter((n) => !letIn.has(n))).toEqual([]);
      before = letIn;
    }
    expect(before.size).toBe(asked.length);
  });

  it("I10 are spread by each feature on its own", () => {
    const cells = new Uint32Array(10_000);
    for (let n = 0; n < count; n += 1) {
      const cell = (buckets[n] ?? 0) * 100 + (otherBuckets[n] ?? 0);
      cells[cell] = (cells[cell] ?? 0) + 1;
    }
    // 9,999 degrees of freedom; chance exceeds 10,440 once in a thousand.
    expect(chiSquare(cells)).toBeLessThan(10_440);
  });

  it("would be seen to share their buckets where two features do", () => {
    const cells = new Uint32Array(10_000);
    for (const bucket of buckets) cells[bucket * 101] = (cells[bucket * 101] ?? 0) + 1;
    expect(chiSquare(cells)).toBeGreaterThan(10_440);
  });
});

/** Against a table whose cells are all alike. */
function chiSquare(cells: Uint32Array): number {
  const expected = count / cells.length;
  return cells.reduce((sum, cell) => sum + (cell - expected) ** 2 / expected, 0);
}
