import type { FileHandle } from "node:fs/promises";
import { expect, test } from "vitest";
import { AppendLog } from "./append-log.ts";

/** A file whose disk answers when the test says so. */
function slowFile() {
  const steps: string[] = [];
  const disk: PromiseWithResolvers<void>[] = [];
  const file = {
    appendFile: (text: string) => {
      steps.push(text);
      return Promise.resolve();
    },
    datasync: () => {
      const sync = Promise.withResolvers<void>();
      disk.push(sync);
      return sync.promise;
    },
  };
  const next = async () => {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    return disk.shift();
  };
  return { log: new AppendLog(file as unknown as FileHandle), steps, next };
}

test("a line is durable only after the disk said so", async () => {
  const { log, next } = slowFile();
  let durable = false;
  const tell = async (): Promise<void> => {
    await log.append("a");
    durable = true;
  };
  const appended = tell();
  const sync = await next();
  expect(durable).toBe(false);
  sync?.resolve();
  await appended;
  expect(durable).toBe(true);
});

test("lines that come while one is on its way share the next fsync, in their order", async () => {
  const { log, steps, next } = slowFile();
  const appended = [log.append("a"), log.append("b"), log.append("c")];
  (await next())?.resolve();
  (await next())?.resolve();
  await Promise.all(appended);
  expect(steps.join("")).toBe("a\nb\nc\n");
  expect(steps.length).toBeLessThanOrEqual(2);
});

test("a log that has rested writes again", async () => {
  const { log, steps, next } = slowFile();
  for (const line of ["a", "b"]) {
    const appended = log.append(line);
    (await next())?.resolve();
    await appended;
    await log.settled();
  }
  expect(steps).toStrictEqual(["a\n", "b\n"]);
});

test("after an error nothing is written, and nobody is told otherwise", async () => {
  const { log, steps, next } = slowFile();
  const first = log.append("a");
  const sync = await next();
  const second = log.append("b");
  const full = new Error("disk full");
  sync?.reject(full);
  await expect(first).rejects.toBe(full);
  await expect(second).rejects.toBe(full);
  await expect(log.append("c")).rejects.toBe(full);
  expect(steps).toStrictEqual(["a\n"]);
});
