import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { parseJson } from "./parse-json.ts";

const value = { text: "grün 🌱" };
const bytes = Buffer.from(JSON.stringify(value));
const limit = 1000;
const statusOf = async (...given: Parameters<typeof parseJson>): Promise<unknown> => {
  const read = await parseJson(...given);
  return "problem" in read ? read.problem.status : read.body;
};

it.each<[string, Buffer]>([
  ["identity", bytes],
  ["", bytes],
  ["gzip", gzipSync(bytes)],
  ["deflate", deflateSync(bytes)],
  ["br", brotliCompressSync(bytes)],
  ["GZip", gzipSync(bytes)],
])("%s is unpacked", async (encoding, packed) => {
  expect(await parseJson(packed, { "content-encoding": encoding }, limit)).toEqual({ body: value });
});

it("another encoding is 415", async () => {
  expect(await statusOf(bytes, { "content-encoding": "compress" }, limit)).toBe(415);
  expect(await statusOf(bytes, { "content-type": "application/json; charset=koi8-r" }, limit)).toBe(
    415,
  );
});

it("what unpacks to more than the limit is 413, and was not unpacked to its end", async () => {
  const bomb = gzipSync(Buffer.alloc(10_000_000, " "));
  expect(await statusOf(bomb, { "content-encoding": "gzip" }, limit)).toBe(413);
});

it("what can't be unpacked is 400", async () => {
  expect(await statusOf(bytes, { "content-encoding": "gzip" }, limit)).toBe(400);
  const cut = gzipSync(bytes).subarray(0, 12);
  expect(await statusOf(cut, { "content-encoding": "gzip" }, limit)).toBe(400);
});

describe("text", () => {
  it("of another charset of Unicode is read, with its mark", async () => {
    const text = Buffer.from(`\uFEFF${JSON.stringify(value)}`, "utf16le");
    const type = { "content-type": "application/json; charset=utf-16le" };
    expect(await statusOf(text, type, limit)).toEqual(value);
  });

  it.each(["", " ", "{", "undefined", "[".repeat(100_000)])(
    "that is no JSON is 400",
    async (text) => {
      expect(await statusOf(Buffer.from(text), {}, limit)).toBe(400);
    },
  );

  it("is quoted by no problem", async () => {
    const read = await parseJson(Buffer.from("{sentinel-77"), {}, limit);
    expect(JSON.stringify(read)).not.toContain("sentinel");
  });
});
