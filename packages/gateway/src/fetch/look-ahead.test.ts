import { describe, expect, it } from "vitest";
import { lookAhead } from "./look-ahead.ts";

const utf8 = new TextDecoder();
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const bodyOf = (init: ConstructorParameters<typeof Response>[0]): ReadableStream<Uint8Array> => {
  const { body } = new Response(init);
  if (body === null) throw new Error("no body");
  return body;
};

async function restOf(source: ReturnType<typeof lookAhead>): Promise<string> {
  let text = "";
  for (;;) {
    const read = await source.read();
    if (read.done) return text;
    text += utf8.decode(read.value);
  }
}

describe("a look into a body", () => {
  it.each([
    ["a text", "hi there"],
    ["bytes", new Uint8Array(bytes("hi there"))],
    ["parameters", new URLSearchParams("hi=there")],
    ["nothing", ""],
  ])("finds the whole of %s that is in memory", async (_what, init) => {
    const whole = await lookAhead(bodyOf(init)).whole();
    expect(whole && utf8.decode(whole)).toBe(await new Response(init).text());
  });

  it("waits for nothing that is still to come, and takes nothing from who reads on", async () => {
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
    const source = lookAhead(
      new ReadableStream({
        start(started) {
          controller = started;
          started.enqueue(bytes("one "));
        },
      }),
    );
    expect(await source.whole()).toBeUndefined();
    controller?.enqueue(bytes("two "));
    controller?.enqueue(bytes("three"));
    controller?.close();
    expect(await restOf(source)).toBe("one two three");
  });

  it("leaves what fails to who reads on", async () => {
    const fault = new Error("cut");
    const source = lookAhead(
      new ReadableStream({
        pull(controller) {
          controller.error(fault);
        },
      }),
    );
    expect(await source.whole()).toBeUndefined();
    await expect(source.read()).rejects.toBe(fault);
  });
});
