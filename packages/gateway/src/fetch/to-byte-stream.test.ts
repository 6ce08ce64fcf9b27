import { setImmediate as turn } from "node:timers/promises";
import { delta } from "@sluice/testkit";
import { expect, it, vi } from "vitest";
import { openChat } from "../open-chat-for-tests.ts";
import { toByteStream } from "./to-byte-stream.ts";

async function flowing(encode: (event: { readonly type: string }) => string) {
  const { guard, provider } = openChat();
  const input = { messages: [{ role: "user" as const, content: "hello" }] };
  const stream = guard.stream(input, { subject: "ann" });
  await turn();
  provider.last().emit(delta("a"));
  await stream.head;
  const onEnd = vi.fn<() => void>();
  const reader = toByteStream({ stream, begin: "begin ", encode }, onEnd).getReader();
  const read = async (): Promise<string | undefined> => {
    const { value } = await reader.read();
    return value === undefined ? undefined : Buffer.from(value).toString();
  };
  return { guard, provider, reader, read, onEnd };
}

it("a body tells of its end once the last of it was read", async () => {
  const { provider, read, onEnd } = await flowing(({ type }) => (type === "usage" ? "" : type));
  expect(await read()).toBe("begin text-delta");
  provider.last().emit({ type: "finish" });
  expect(await read()).toBe("finish");
  expect(onEnd).not.toHaveBeenCalled();
  expect(await read()).toBeUndefined();
  expect(onEnd).toHaveBeenCalledOnce();
});

it("a body that is cancelled ends the upstream call, and tells of it", async () => {
  const { provider, reader, onEnd } = await flowing(({ type }) => type);
  await reader.cancel();
  expect(provider.last().asked.signal.aborted).toBe(true);
  expect(onEnd).toHaveBeenCalledOnce();
});

it("I4 an event that can't be written fails the body and ends the upstream call", async () => {
  const { guard, provider, read, onEnd } = await flowing(() => {
    throw new Error("unwritable");
  });
  await expect(read()).rejects.toThrow("unwritable");
  await turn();
  expect(provider.last().asked.signal.aborted).toBe(true);
  expect(guard.inFlight).toBe(0);
  expect(onEnd).toHaveBeenCalledOnce();
});
