import { createHash } from "node:crypto";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError } from "@sluice/contract";
import { startProcess, type RunningProcess } from "@sluice/testkit";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { isFolderLocked, lockFolder } from "./folder-lock.ts";
import { thisProcess, type FolderOwner } from "./folder-owner.ts";

let folder: string;
let scripts: string;
const started: RunningProcess[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sluice-lock-"));
  scripts = mkdtempSync(join(tmpdir(), "sluice-lock-scripts-"));
});
afterEach(async () => {
  await Promise.all(started.splice(0).map((child) => child.kill()));
  rmSync(folder, { recursive: true });
  rmSync(scripts, { recursive: true });
});

const lock = () => lockFolder(folder, "pglite.folder");
const lockText = (): string => readFileSync(join(folder, "sluice-lock"), "utf8");
const leave = (owner: unknown, file = "sluice-lock"): void =>
  writeFileSync(join(folder, file), typeof owner === "string" ? owner : JSON.stringify(owner));
const refusal = (): string =>
  `holds ${folder}/sluice-lock, and whether it lives can't be told from here: delete that file once it has ended`;
const elsewhere: Partial<FolderOwner> = { host: "elsewhere", boot: "another", pidNamespace: "x" };

/** A process of its own that has `lockFolder`, and runs the text. */
function run(text: string, args: readonly string[]): RunningProcess {
  const script = join(scripts, `${started.length}.ts`);
  const source = JSON.stringify(new URL("folder-lock.ts", import.meta.url).href);
  writeFileSync(script, `import { lockFolder } from ${source};\n${text}`);
  const child = startProcess(script, { args });
  started.push(child);
  return child;
}

const holding = `
  for (const folder of process.argv.slice(2)) lockFolder(folder, "folder");
  console.log("held");
  setInterval(() => {}, 60_000);`;

/** Leaves the locks that a process held when it was killed. */
async function killHolderOf(...folders: readonly string[]): Promise<void> {
  const holder = run(holding, folders);
  await holder.printed(/held/);
  await holder.kill();
}

describe("a folder's lock", () => {
  it("gives a folder to one at a time", () => {
    const first = lock();
    expect(lock).toThrow(ConfigError);
    expect(lock).toThrow(
      `pglite.folder: got a folder in use, expected a folder of its own; process ${process.pid} on ${hostname()} holds ${folder}/sluice-lock`,
    );
    expect(isFolderLocked(folder)).toBe(true);
    first.release();
    expect(isFolderLocked(folder)).toBe(false);
    const second = lock();
    // Late, and not its own any more.
    first.release();
    expect(lock).toThrow(ConfigError);
    second.release();
    expect(readdirSync(folder)).toEqual([]);
  });

  it("leaves what another made after somebody deleted it by hand", () => {
    const first = lock();
    const other = JSON.stringify({ ...thisProcess(), ...elsewhere });
    leave(other);
    first.release();
    expect(lockText()).toBe(other);
  });

  it("goes over from a process that was killed", async () => {
    await killHolderOf(folder);
    expect(isFolderLocked(folder)).toBe(false);
    const taken = lock();
    expect(lock).toThrow(`process ${process.pid}`);
    taken.release();
    expect(readdirSync(folder)).toEqual([]);
  });

  it.each(["", "{", "{}", '{"host":"h","pid":'])(
    "goes over where it is empty or half written, as a machine that failed may leave it: %j",
    (text) => {
      leave(text);
      expect(isFolderLocked(folder)).toBe(false);
      const taken = lock();
      expect(lockText()).toBe(JSON.stringify(thisProcess()));
      taken.release();
      expect(readdirSync(folder)).toEqual([]);
    },
  );

  it("refuses a path that is no folder, and a lock that is no file", () => {
    writeFileSync(join(folder, "file"), "");
    expect(() => lockFolder(join(folder, "file"), "pglite.folder")).toThrow(
      "pglite.folder: got a path that cannot be used (EEXIST), expected a folder that can be written",
    );
    mkdirSync(join(folder, "sluice-lock"));
    expect(lock).toThrow("pglite.folder: got a path that cannot be used (EISDIR)");
  });
});

describe("whoever is killed while it takes a lock", () => {
  /** Kills itself before the change to the file system with this number. */
  const dying = `
    import fs from "node:fs";
    import { syncBuiltinESMExports } from "node:module";
    const [folder, name = "", at = "0"] = process.argv.slice(2);
    let left = Number(at);
    for (const each of name === "" ? ["openSync", "writeSync", "linkSync", "renameSync", "rmSync"] : [name]) {
      const real = fs[each];
      fs[each] = (...args) => {
        left -= 1;
        if (left < 0) process.kill(process.pid, "SIGKILL");
        return real(...args);
      };
    }
    syncBuiltinESMExports();
    lockFolder(folder, "folder");`;
  const die = async (at: string, name = "", step = 0): Promise<boolean> => {
    const { signal } = await run(dying, [at, name, String(step)]).ended;
    return signal === "SIGKILL";
  };

  it("is succeeded, at whichever step that was", { timeout: 60_000 }, async () => {
    const folders = Array.from({ length: 14 }, (_, step) => join(folder, String(step)));
    await killHolderOf(...folders);
    const killed = await Promise.all(folders.map((each, step) => die(each, "", step)));
    // There is no step with the last number, so all were tried.
    expect(killed.at(-2)).toBe(true);
    expect(killed.at(-1)).toBe(false);
    for (const each of folders) {
      const taken = lockFolder(each, "folder");
      expect(readdirSync(each)).toEqual(["sluice-lock"]);
      taken.release();
      expect(readdirSync(each)).toEqual([]);
    }
  });

  it("is succeeded where its successors were killed as well", { timeout: 60_000 }, async () => {
    await killHolderOf(folder);
    for (const name of ["renameSync", "renameSync", "writeSync", "renameSync"]) {
      expect(await die(folder, name)).toBe(true);
    }
    // The lock, what was unfinished, and one succession for each that died with one.
    expect(readdirSync(folder).length).toBeGreaterThan(4);
    lock().release();
    expect(readdirSync(folder)).toEqual([]);
  });

  it("is not succeeded while it lives", async () => {
    await killHolderOf(folder);
    const name = `sluice-lock.after-${createHash("sha256").update(lockText()).digest("hex").slice(0, 16)}`;
    leave(thisProcess(), name);
    expect(lock).toThrow(`process ${process.pid} on ${hostname()} holds ${folder}/${name}`);
  });
});

describe("an owner", () => {
  it("on another host stands, by a line that says what to do", () => {
    leave({ ...thisProcess(), ...elsewhere });
    expect(lock).toThrow(`process ${process.pid} on elsewhere ${refusal()}`);
    expect(isFolderLocked(folder)).toBe(true);
    rmSync(join(folder, "sluice-lock"));
    lock().release();
  });

  it("on another host stands where its system tells nothing more", () => {
    leave({ host: "elsewhere", pid: process.pid, start: null });
    expect(lock).toThrow(refusal());
  });
});

// Each starts a process, which takes its time on a busy machine.
describe.runIf(process.platform === "linux")("an owner on Linux", { timeout: 30_000 }, () => {
  it("in another container of this machine stands", () => {
    leave({ ...thisProcess(), host: "c0ffee", pidNamespace: "pid:[1]", start: "1" });
    expect(lock).toThrow(`process ${process.pid} on c0ffee ${refusal()}`);
  });

  it("in a container is alive where it can be seen from outside, whatever the host's name", () => {
    leave({ ...thisProcess(), pidNamespace: "pid:[1]" });
    expect(lock).toThrow(/holds \S+\/sluice-lock$/);
  });

  it("of the same container is gone once that was started again", () => {
    leave({ ...thisProcess(), pidNamespace: "pid:[1]", start: "1" });
    expect(lock).not.toThrow();
  });

  it("is gone once its machine was started again", () => {
    leave({ ...thisProcess(), boot: "earlier" });
    expect(lock).not.toThrow();
  });

  it("is judged by its process where only the name of the host changed", () => {
    leave({ ...thisProcess(), host: "earlier" });
    expect(lock).toThrow(/on earlier holds \S+\/sluice-lock$/);
    leave({ ...thisProcess(), host: "earlier", start: "1" });
    expect(lock).not.toThrow();
  });

  it("is gone where another process has its pid by now", async () => {
    const other = run("console.log(process.pid); setInterval(() => {}, 60_000);", []);
    const pid = Number((await other.printed(/\d+/))[0]);
    leave({ ...thisProcess(), pid });
    lock().release();
    expect(readdirSync(folder)).toEqual([]);
  });

  it("is gone where its parent has not heard of its end", async () => {
    const parent = run(
      `import { spawn } from "node:child_process";
      const child = spawn("cat");
      process.on("SIGUSR2", () => {
        child.kill("SIGKILL");
        console.log("killed");
        // Never returns to the loop that would hear of it.
        for (;;);
      });
      console.log(child.pid);`,
      [],
    );
    const pid = Number((await parent.printed(/\d+/))[0]);
    const stat = (): string => readFileSync(`/proc/${pid}/stat`, "utf8");
    const start = stat()
      .slice(stat().lastIndexOf(")") + 2)
      .split(" ")[19];
    leave({ ...thisProcess(), pid, start });
    expect(lock).toThrow(`process ${pid} on`);
    parent.signal("SIGUSR2");
    await parent.printed(/killed/);
    await vi.waitFor(() => expect(stat()).toMatch(/\) [ZX] /), { timeout: 10_000, interval: 5 });
    expect(lock).not.toThrow();
  });

  it("names the namespace that its pid is of", () => {
    expect(thisProcess().pidNamespace).toBe(readlinkSync("/proc/self/ns/pid"));
  });
});

it("gives each folder to one of ten processes that race for it after its owner was killed", {
  timeout: 60_000,
}, async () => {
  const folders = Array.from({ length: 30 }, (_, at) => join(folder, String(at)));
  await killHolderOf(...folders);
  const racers = Array.from({ length: 10 }, () =>
    run(
      `const folders = process.argv.slice(2);
        process.on("SIGUSR2", () => {
          const won = folders.filter((folder) => {
            try {
              lockFolder(folder, "folder");
              return true;
            } catch (error) {
              if (error.code !== "SLUICE_CONFIG") throw error;
              return false;
            }
          });
          console.log("won", JSON.stringify(won), "all");
        });
        setInterval(() => {}, 60_000);
        console.log("ready");`,
      folders,
    ),
  );
  await Promise.all(racers.map((racer) => racer.printed(/ready/)));
  for (const racer of racers) racer.signal("SIGUSR2");
  const won = await Promise.all(
    racers.map(async (racer) => (await racer.printed(/won (.*) all/))[1] ?? ""),
  );
  const winners = won.flatMap((each) => JSON.parse(each) as string[]);
  expect(winners.toSorted()).toEqual(folders.toSorted());
  for (const each of folders) expect(readdirSync(each)).toEqual(["sluice-lock"]);
});
