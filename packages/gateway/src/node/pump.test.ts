import { setImmediate as turn } from "node:timers/promises";
import { once } from "node:events";
import { get } from "node:http";
import { expect, it } from "vitest";
import { delta } from "@sluice/testkit";
import { openChat } from "../open-chat-for-tests.ts";
import { pump } from "./pump.ts";
import { serving } from "./requests-for-tests.ts";

const encode = ({ type }: { readonly type: string }): string => `${type}\n`;

it("I13 writes nothing after an answer that somebody else has ended, and lets go of the upstream", async () => {
  const { guard, provider, call } = openChat();
  const errors: unknown[] = [];
  const pumped = Promise.withResolvers<void>();
  const port = await serving(async (_req, res) => {
    // Without a listener it would end the process.
    res.on("error", (error) => errors.push(error));
    const stream = guard.stream(call().body as never, { subject: "ann" });
    await turn();
    const pumping = pump(res, { stream, encode });
    provider.last().emit(delta("a"));
    await stream.head;
    // More than a socket takes at once: the end has still to be sent.
    res.write("x".repeat(20_000_000));
    res.end();
    provider.last().emit(delta("b"));
    await pumping;
    pumped.resolve();
  });
  const asked = get({ port });
  const [response] = (await once(asked, "response")) as [NodeJS.ReadableStream];
  await pumped.promise;
  response.resume();
  await once(response, "end");
  expect(errors).toEqual([]);
  expect(provider.last().asked.signal.aborted).toBe(true);
  expect(guard.inFlight).toBe(0);
});
