import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { holdLock, lockAddress } from "./hold-lock.ts";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "slotgen-"));
});
afterAll(() => rm(directory, { recursive: true }));

const identity = { dev: 1n, ino: BigInt(process.pid) };

test("each kind of system has its address", () => {
  const name = `sluice-slotgen-1-${process.pid}`;
  expect(lockAddress(identity, "linux")).toBe(`\0${name}`);
  expect(lockAddress(identity, "win32")).toBe(`\\\\.\\pipe\\${name}`);
  expect(lockAddress(identity, "darwin")).toBe(join(tmpdir(), `${name}.sock`));
});

describe.each([
  ["this system's", () => lockAddress(identity)],
  ["a socket file's", () => join(directory, "lock.sock")],
])("the lock at %s address", (_, addressOf) => {
  test("has one holder, and another after it was given back", async () => {
    const release = await holdLock(addressOf());
    expect(release).toBeDefined();
    await expect(holdLock(addressOf())).resolves.toBeUndefined();
    await release?.();
    const again = await holdLock(addressOf());
    expect(again).toBeDefined();
    await again?.();
  });

  test("is free when its holder was killed", async () => {
    const address = addressOf();
    const holder = spawn(
      process.execPath,
      [
        "-e",
        `require("node:net").createServer().listen(${JSON.stringify(address)}, () => console.log("held"))`,
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    await once(holder.stdout, "data");
    await expect(holdLock(address)).resolves.toBeUndefined();
    holder.kill("SIGKILL");
    await once(holder, "exit");
    // The name stays behind where it is a file; that must not lock anybody out.
    expect(existsSync(address)).toBe(!address.startsWith("\0"));
    const release = await holdLock(address);
    expect(release).toBeDefined();
    await release?.();
  });
});
