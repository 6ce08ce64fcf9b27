import { spawnSync } from "node:child_process";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bucketOf } from "./bucket.ts";
import { isEligibleSubject } from "./subject.ts";

/** Computed with Python's hashlib: `int.from_bytes(sha256(text).digest()[:4], "big") % 100`. */
const vectors: readonly (readonly [salt: string, subject: string, bucket: number])[] = [
  ["chat_ai", "alice", 87],
  ["chat_ai", "user-42", 62],
  ["chat_ai", "job:7", 35],
  ["chat_ai", "受験生", 45],
  ["chat_ai", "🧪", 72],
  ["chat_ai", "caf\u00e9", 73],
  ["chat_ai", "cafe\u0301", 76],
  ["chat_ai", " ", 40],
  ["chat_ai", "a\nb", 12],
  ["slotgen_ai", "alice", 59],
  ["slotgen_ai", "user-42", 41],
  ["slotgen_ai", "🧪", 18],
  ["slotgen_ai", "caf\u00e9", 87],
  ["slotgen_ai", "cafe\u0301", 24],
  ["", "alice", 1],
  ["", "user-42", 83],
  ["", "受験生", 55],
  ["", "🧪", 83],
  ["", "caf\u00e9", 64],
  ["", "cafe\u0301", 15],
];

/** 10,000 subjects of many scripts, both normal forms, and awkward characters. */
const subjects: readonly string[] = Array.from({ length: 10_000 }, (_, i) => {
  const forms = [
    `user-${i}`,
    `${i}`,
    `受験生${i}`,
    `학생-${i}`,
    `🧪👩🏽‍🔬${i}`,
    `caf\u00e9-${i}`,
    `cafe\u0301-${i}`,
    `with:colon:${i}`,
    `line\r\nbreak\t${i}`,
    `'quote"\\back%${i}`,
  ];
  return forms[i % forms.length] ?? "";
});

describe("a subject's bucket", () => {
  it.each(vectors)("I10 with the salt %j of %j is %i", (salt, subject, bucket) => {
    expect(bucketOf(salt, subject)).toBe(bucket);
  });

  it("is an integer from 0 to 99, the same each time", () => {
    fc.assert(
      fc.property(fc.string(), fc.string({ unit: "binary" }), (salt, subject) => {
        const bucket = bucketOf(salt, subject);
        expect(Number.isInteger(bucket) && bucket >= 0 && bucket <= 99).toBe(true);
        expect(bucketOf(salt, subject)).toBe(bucket);
      }),
    );
  });

  it("I10 widening never drops a subject", () => {
    const within = (percent: number) =>
      new Set(subjects.filter((subject) => bucketOf("chat_ai", subject) < percent));
    const widths = [0, 1, 5, 20, 50, 99, 100].map(within);
    expect(widths[0]?.size).toBe(0);
    expect(widths.at(-1)?.size).toBe(subjects.length);
    for (const [i, wide] of widths.slice(1).entries()) {
      const dropped = [...(widths[i] ?? [])].filter((subject) => !wide.has(subject));
      expect(dropped).toEqual([]);
    }
  });

  it("spreads subjects evenly over the hundred buckets", () => {
    const counts = Array.from({ length: 100 }, () => 0);
    for (const subject of subjects) {
      const bucket = bucketOf("chat_ai", subject);
      counts[bucket] = (counts[bucket] ?? 0) + 1;
    }
    // 99 degrees of freedom; a fair spread exceeds 149 once in a thousand.
    expect(chiSquare(counts, subjects.length / 100)).toBeLessThan(149);
  });

  it("I10 is independent between two features", () => {
    const cells = Array.from({ length: 100 }, () => 0);
    for (const subject of subjects) {
      const row = Math.floor(bucketOf("chat_ai", subject) / 10);
      const column = Math.floor(bucketOf("slotgen_ai", subject) / 10);
      cells[row * 10 + column] = (cells[row * 10 + column] ?? 0) + 1;
    }
    // 99 degrees of freedom against a uniform table.
    expect(chiSquare(cells, subjects.length / 100)).toBeLessThan(149);
  });

  it("would show features that share their buckets as dependent", () => {
    const cells = Array.from({ length: 100 }, () => 0);
    for (const subject of subjects) {
      const tenth = Math.floor(bucketOf("chat_ai", subject) / 10);
      cells[tenth * 11] = (cells[tenth * 11] ?? 0) + 1;
    }
    expect(chiSquare(cells, subjects.length / 100)).toBeGreaterThan(149);
  });
});

function chiSquare(counts: readonly number[], expected: number): number {
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

/** psql's own variables (PGHOST, PGUSER, …) count; unset, the server of this machine. */
function psql(script: string) {
  return spawnSync("psql", ["--no-psqlrc", "-At", "-v", "ON_ERROR_STOP=1", "-f", "-"], {
    input: script,
    encoding: "utf8",
    maxBuffer: 16 * 1024 * 1024,
    env: {
      PGHOST: "127.0.0.1",
      PGPORT: "5432",
      PGDATABASE: "postgres",
      PGCONNECT_TIMEOUT: "5",
      ...process.env,
    },
  });
}

const answers = psql("select 1").status === 0;

describe("PostgreSQL's own sha256", () => {
  // Skipped where there is no server; a pipeline has one, and without it the test fails.
  it.skipIf(!answers && process.env["CI"] !== "true")(
    "I10 puts 10,000 subjects in the same buckets under three salts",
    () => {
      const expected: string[] = [];
      const rows: string[] = [];
      for (const salt of ["chat_ai", "slotgen_ai", ""]) {
        for (const subject of subjects) {
          expect(isEligibleSubject(subject)).toBe(true);
          rows.push(`${rows.length}\t${salt}\t${Buffer.from(subject).toString("hex")}`);
          expected.push(String(bucketOf(salt, subject)));
        }
      }
      const { stdout, stderr } = psql(`
        set client_min_messages = warning;
        create temporary table asked (n int, salt text, hex text);
        copy asked from stdin;
${rows.join("\n")}
\\.
        select ('x' || substr(encode(sha256(convert_to(
            case when salt = '' then subject_id else salt || ':' || subject_id end, 'UTF8')), 'hex'), 1, 8)
          )::bit(32)::bigint % 100
        from (select n, salt, convert_from(decode(hex, 'hex'), 'UTF8') as subject_id from asked) as subjects
        order by n;
      `);
      const buckets = stdout.split("\n").filter((line) => /^\d+$/.test(line));
      expect(buckets, stderr).toHaveLength(30_000);
      expect(buckets).toEqual(expected);
    },
  );
});
