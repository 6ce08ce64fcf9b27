import { request, type ServerResponse } from "node:http";
import { FakeClock } from "@sluice/testkit";
import { describe, expect, it } from "vitest";
import type { LegacyAnswer } from "../parity.ts";
import { copyAnswer } from "./copy-answer.ts";
import { send, serving } from "./requests-for-tests.ts";

async function copyOf(
  answer: (res: ServerResponse, clock: FakeClock) => unknown,
  limitBytes = 1000,
): Promise<{ readonly copy: LegacyAnswer; readonly sent: string; readonly res: ServerResponse }> {
  const clock = new FakeClock();
  const taken = Promise.withResolvers<LegacyAnswer>();
  const responses: ServerResponse[] = [];
  const port = await serving(async (_req, res) => {
    responses.push(res);
    taken.resolve(copyAnswer(res, limitBytes, clock));
    await answer(res, clock);
  });
  const sent = await send(port, { body: "", chunked: false, writes: 1 });
  const [res] = responses;
  if (res === undefined) throw new Error("no response");
  return { copy: await taken.promise, sent, res };
}

const textOf = ({ body }: LegacyAnswer): string | undefined => body && Buffer.from(body).toString();

describe("an answer's copy", () => {
  it("is what the handler wrote, in whatever form", async () => {
    const { copy, sent } = await copyOf((res, clock) => {
      const chunk = Buffer.from("three");
      res.writeHead(201, { "Content-Type": "text/plain" });
      res.write("one ");
      res.write("74776f20", "hex", () => undefined);
      res.write(chunk);
      clock.advance(5);
      res.end(" four", "latin1", () => undefined);
    });
    expect(textOf(copy)).toBe("one two three four");
    expect(sent).toBe("one two three four");
    expect(copy).toMatchObject({
      status: 201,
      contentType: "text/plain",
      complete: true,
      latencyMs: 5,
    });
  });

  it("holds each chunk once, where `end` and `write` of a middleware call one another", async () => {
    const { copy, sent } = await copyOf((res) => {
      res.end("once");
    });
    expect([textOf(copy), sent]).toEqual(["once", "once"]);
    const inner = await copyOf((res) => {
      const end = res.end.bind(res) as () => unknown;
      // As a middleware does that was mounted first.
      Object.assign(res, {
        end: (chunk: string) => {
          res.write(chunk);
          return end();
        },
      });
      res.end("again");
    });
    expect([textOf(inner.copy), inner.sent]).toEqual(["again", "again"]);
  });

  it("knows the type that a header has", async () => {
    const { copy } = await copyOf((res) => {
      res.setHeader("content-type", "application/json");
      res.end("{}");
    });
    expect(copy.contentType).toBe("application/json");
  });

  it("I12 is none beyond the limit, and the client gets all", async () => {
    const { copy, sent } = await copyOf((res) => {
      res.write("x".repeat(600));
      res.write("x".repeat(600));
      res.end("x");
    });
    expect(copy).toMatchObject({ body: undefined, complete: true, status: 200 });
    expect(sent).toHaveLength(1201);
  });

  it("is none where nothing but the end is wanted, and no method is touched", async () => {
    let own: readonly string[] = [];
    const { copy } = await copyOf((res) => {
      own = ["write", "end", "writeHead"].filter((name) => Object.hasOwn(res, name));
      res.end("text");
    }, 0);
    expect(copy).toMatchObject({ body: undefined, complete: true });
    expect(own).toEqual([]);
  });

  it("leaves the response as it was", async () => {
    const { res } = await copyOf((response) => response.end("text"));
    for (const name of ["write", "end", "writeHead", "emit"]) {
      expect(Object.hasOwn(res, name)).toBe(false);
    }
  });
});

it("an answer whose client leaves is not complete", async () => {
  const taken = Promise.withResolvers<LegacyAnswer>();
  const port = await serving((_req, res) => {
    taken.resolve(copyAnswer(res, 1000, new FakeClock()));
    res.write("some of it");
  });
  const sent = request({ port });
  sent.on("error", () => undefined);
  sent.on("response", () => sent.destroy());
  sent.end();
  expect(await taken.promise).toMatchObject({ status: 200, complete: false });
});

it("an answer that never began has no status", async () => {
  const taken = Promise.withResolvers<LegacyAnswer>();
  const port = await serving((req, res) => {
    taken.resolve(copyAnswer(res, 1000, new FakeClock()));
    req.socket.destroy();
  });
  request({ port })
    .on("error", () => undefined)
    .end();
  expect(await taken.promise).toMatchObject({ status: undefined, complete: false });
});
