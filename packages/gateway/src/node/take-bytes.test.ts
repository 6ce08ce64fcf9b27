import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { describe, expect, it } from "vitest";
import { collect, readers, send, serving } from "./requests-for-tests.ts";
import { takeBytes, type TakenBytes } from "./take-bytes.ts";

const sizes = [0, 1, 1000, 70_000, 400_000];
const limits = [1_000_000, 100_000, 10];

describe.each(Object.entries(readers))("a body that is put back is read whole by %s", (_, read) => {
  it.each([
    ["of a known length", false],
    ["in chunks", true],
  ])("%s", async (__, chunked) => {
    let limit = 0;
    let taken: TakenBytes | undefined;
    const port = await serving(async (req, res) => {
      taken = await takeBytes(req, limit);
      res.end(await read(req));
    });
    for (const size of sizes) {
      const body = "0123456789abcdef".repeat(size / 16 + 1).slice(0, size);
      for (limit of limits) {
        for (const writes of [1, 4]) {
          expect((await send(port, { body, chunked, writes })) === body).toBe(true);
          const expected = size > limit ? "too_large" : "bytes";
          expect(taken?.kind).toBe(expected);
          const whole = taken?.kind === "bytes" ? taken.bytes.toString() : body;
          expect(whole === body).toBe(true);
        }
      }
    }
  });
});

it("I12 no more than the limit and a chunk is read of a body that is too large", async () => {
  const done = Promise.withResolvers<IncomingMessage>();
  const port = await serving(async (req) => {
    await takeBytes(req, 1000);
    done.resolve(req);
  });
  const sent = request({ port, method: "POST" });
  sent.on("error", () => undefined);
  sent.write("x".repeat(10_000_000));
  const req = await done.promise;
  expect(req.readableLength).toBeLessThan(1_000_000);
  sent.destroy();
});

it("a body of a known length that is too large is not read at all", async () => {
  const port = await serving(async (req, res) => {
    const { kind } = await takeBytes(req, 3);
    res.end(`${kind} ${req.readableDidRead}`);
  });
  expect(await send(port, { body: "1234", chunked: false, writes: 1 })).toBe("too_large false");
});

describe("a client that leaves while sending is told of as gone", () => {
  it.each(["Content-Length: 100", "Transfer-Encoding: chunked"])("%s", async (header) => {
    const begun = Promise.withResolvers<IncomingMessage>();
    const taken = Promise.withResolvers<TakenBytes>();
    const port = await serving((req) => {
      taken.resolve(takeBytes(req, 1000));
      begun.resolve(req);
    });
    const socket = connect(port, "127.0.0.1");
    socket.write(`POST / HTTP/1.1\r\nHost: x\r\n${header}\r\n\r\n5\r\nhello`);
    const req = await begun.promise;
    socket.destroy();
    expect(await taken.promise).toEqual({ kind: "gone" });
    expect(await takeBytes(req, 1000)).toEqual({ kind: "gone" });
  });
});

describe("a body that somebody has had before is the application's error", () => {
  it.each<[string, (req: IncomingMessage) => Promise<unknown>]>([
    ["read", (req) => collect(req)],
    ["begun", (req) => once(req, "data").finally(() => req.pause())],
    ["turned into text", (req) => Promise.resolve(req.setEncoding("utf8"))],
  ])("%s", async (_, spoil) => {
    const port = await serving(async (req, res) => {
      await spoil(req);
      res.end(await takeBytes(req, 1000).catch((error: unknown) => String(error)));
    });
    expect(await send(port, { body: "body", chunked: true, writes: 1 })).toMatch(/was read before/);
  });
});
