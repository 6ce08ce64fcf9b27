import type { ServerResponse } from "node:http";
import { FakeClock } from "@sluice/testkit";
import { expect, it } from "vitest";
import { firstByte } from "./first-byte.ts";
import { lookAt } from "./look-at.ts";
import { send, serving } from "./requests-for-tests.ts";

async function measured(
  answer: (res: ServerResponse, clock: FakeClock) => void,
): Promise<number | undefined> {
  const clock = new FakeClock();
  let ms: (() => number | undefined) | undefined;
  const port = await serving((_req, res) => {
    clock.advance(100);
    ms = firstByte(res, clock);
    answer(res, clock);
  });
  await send(port, { body: "", chunked: false, writes: 1 });
  return ms?.();
}

it.each<[string, (res: ServerResponse) => unknown]>([
  ["end", (res) => res.end("all")],
  ["write", (res) => res.write("some")],
  ["writeHead", (res) => res.writeHead(201)],
  ["flushHeaders", (res) => res.flushHeaders()],
])("is when the status line is made, by %s", async (_, begin) => {
  const ms = await measured((res, clock) => {
    res.setHeader("x-header", "set");
    clock.advance(7);
    begin(res);
    clock.advance(20);
    res.end();
  });
  expect(ms).toBe(7);
});

it("is so with `writeHead` wrapped by others", async () => {
  const ms = await measured((res, clock) => {
    const inner = res.writeHead.bind(res);
    res.writeHead = (status: number) => inner(status + 1);
    const stop = lookAt(res, "writeHead", () => undefined);
    clock.advance(7);
    res.end();
    stop();
  });
  expect(ms).toBe(7);
});

it("is none of a response that never began", () => {
  const res = { headersSent: false, writeHead: () => undefined } as unknown as ServerResponse;
  const ms = firstByte(res, new FakeClock());
  void res.writeHead;
  expect(ms()).toBeUndefined();
});
