import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { describe, expect, it } from "vitest";
import { copyBody, type BodyCopy } from "./copy-body.ts";
import { collect, readers, send, serving } from "./requests-for-tests.ts";

const body = "0123456789abcdef".repeat(10_000);

describe.each(Object.entries(readers))("a body that is read by %s", (_, read) => {
  it.each([
    ["of a known length", false],
    ["in chunks", true],
  ])("is copied, and read as if it were not: %s", async (__, chunked) => {
    let copied: Promise<BodyCopy> | undefined;
    let isLeft = false;
    const port = await serving(async (req, res) => {
      ({ copied } = copyBody(req, 1_000_000));
      const all = await read(req);
      isLeft = Object.hasOwn(req, "emit");
      res.end(all);
    });
    for (const writes of [1, 4]) {
      expect((await send(port, { body, chunked, writes })) === body).toBe(true);
      const copy = await copied;
      if (copy === undefined || "skipped" in copy) throw new Error("nothing was copied");
      expect(Buffer.from(copy.bytes).toString() === body).toBe(true);
      // The request is what it was.
      expect(isLeft).toBe(false);
    }
  });
});

/** What becomes of the copy of a body that is treated so. */
async function copyOf(
  treat: (req: IncomingMessage, stop: () => void) => unknown,
  limitBytes = 1_000_000,
  chunked = false,
): Promise<BodyCopy> {
  const taken = Promise.withResolvers<BodyCopy>();
  const port = await serving(async (req, res) => {
    const { copied, stop } = copyBody(req, limitBytes);
    taken.resolve(copied);
    await treat(req, stop);
    res.end();
  });
  await send(port, { body, chunked, writes: 1 });
  return taken.promise;
}

describe("a body is not copied", () => {
  it("I12 beyond the limit, and its reader reads on", async () => {
    let read = "";
    const copy = await copyOf(
      async (req) => {
        read = await collect(req);
      },
      100_000,
      true,
    );
    expect(copy).toEqual({ skipped: "too_large" });
    expect(read === body).toBe(true);
  });

  it("where nobody reads it, and nothing makes it flow", async () => {
    let flows: unknown;
    const copy = await copyOf((req, stop) => {
      flows = req.readableFlowing;
      stop();
    });
    expect(copy).toEqual({ skipped: "unread" });
    expect(flows).toBeNull();
  });

  it("where its client leaves", async () => {
    const begun = Promise.withResolvers<void>();
    const taken = Promise.withResolvers<BodyCopy>();
    const port = await serving((req) => {
      taken.resolve(copyBody(req, 1000).copied);
      req.on("data", () => begun.resolve());
    });
    const sent = request({ port, method: "POST" });
    sent.on("error", () => undefined);
    sent.write("some of it");
    await begun.promise;
    sent.destroy();
    expect(await taken.promise).toEqual({ skipped: "unread" });
  });
});

describe("a handler", () => {
  it("that writes over what it has read changes no copy", async () => {
    const copy = await copyOf(async (req) => {
      req.on("data", (chunk: Buffer) => chunk.fill("x"));
      await once(req, "end");
    });
    expect("bytes" in copy && Buffer.from(copy.bytes).toString() === body).toBe(true);
  });

  it("that wraps `emit` itself is called, and so is the copy", async () => {
    const seen = new Set<string | symbol>();
    const copy = await copyOf(async (req) => {
      const emit = req.emit.bind(req) as (...args: unknown[]) => boolean;
      req.emit = (event: string, ...args: unknown[]) => {
        seen.add(event);
        return emit(event, ...args);
      };
      await collect(req);
    });
    expect([...seen]).toContain("end");
    expect("bytes" in copy && Buffer.from(copy.bytes).toString() === body).toBe(true);
  });

  it("finds nothing of ours in the stack of what it throws at the end", async () => {
    const stacks: unknown[] = [];
    const listen = async (req: IncomingMessage): Promise<void> => {
      req.resume().on("end", () => stacks.push(new Error("end").stack));
      await once(req, "end");
    };
    await copyOf(listen);
    await copyOf(listen, 1_000_000, true);
    for (const stack of stacks) expect(stack).not.toContain("copy-body.ts");
    expect(stacks).toHaveLength(2);
  });
});
