import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError } from "@sluice/contract";
import { startProcess } from "@sluice/testkit";
import { afterEach, beforeEach, expect, it } from "vitest";
import { lockFolder } from "./folder-lock.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sluice-lock-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const lock = () => lockFolder(folder, "pglite.folder");
const leave = (owner: unknown, file = "sluice-lock"): void =>
  writeFileSync(join(folder, file), typeof owner === "string" ? owner : JSON.stringify(owner));

/** A process of this host that has ended. */
async function endedPid(): Promise<number> {
  const script = join(folder, "pid.ts");
  writeFileSync(script, "console.log(process.pid);");
  const child = startProcess(script);
  await child.ended;
  rmSync(script);
  return Number(child.stdout);
}

it("gives a folder to one at a time", () => {
  const first = lock();
  expect(lock).toThrow(ConfigError);
  expect(lock).toThrow(
    `pglite.folder: got a folder in use, expected a folder of its own; process ${process.pid} on ${hostname()} holds`,
  );
  first.release();
  const second = lock();
  // Late, and not its own any more.
  first.release();
  expect(lock).toThrow(ConfigError);
  second.release();
  expect(readdirSync(folder)).toEqual([]);
});

it("takes over from a process that is gone", async () => {
  leave({ host: hostname(), pid: await endedPid(), start: "1" });
  const taken = lock();
  expect(lock).toThrow(`process ${process.pid}`);
  taken.release();
  expect(readdirSync(folder)).toEqual([]);
});

it.runIf(process.platform === "linux")(
  "takes over from an earlier process with the same pid",
  () => {
    leave({ host: hostname(), pid: process.pid, start: "1" });
    expect(() => lock().release()).not.toThrow();
  },
);

it("leaves the folder to a process on another host, whatever its pid", async () => {
  leave({ host: "elsewhere", pid: await endedPid(), start: "1" });
  expect(lock).toThrow("on elsewhere holds");
});

it.each(["", "{", "{}"])("leaves the folder to whom it cannot read: %j", (text) => {
  leave(text);
  expect(lock).toThrow("another process holds");
});

it("leaves the folder to another that takes it over at this moment", async () => {
  leave({ host: hostname(), pid: await endedPid(), start: "1" });
  leave("", "sluice-lock.takeover");
  expect(lock).toThrow(ConfigError);
});

it("refuses a path that is no folder", () => {
  writeFileSync(join(folder, "file"), "");
  expect(() => lockFolder(join(folder, "file"), "pglite.folder")).toThrow(
    "pglite.folder: got a path that cannot be used (EEXIST), expected a folder that can be written",
  );
});
