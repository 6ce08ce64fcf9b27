import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startProcess } from "@sluice/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { SqlDatabase } from "./database.ts";
import { pglite, type PgliteOptions } from "./pglite.ts";

const source = (file: string): string => JSON.stringify(new URL(file, import.meta.url).href);

describe("pglite", { timeout: 60_000 }, () => {
  const opened: SqlDatabase[] = [];
  let scratch: string;
  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), "sluice-pglite-"));
  });
  afterEach(async () => {
    for (const database of opened.splice(0)) await database.close();
  });
  afterAll(() => rm(scratch, { recursive: true }));

  const open = (options?: PgliteOptions): SqlDatabase => {
    const database = pglite(options);
    opened.push(database);
    return database;
  };
  const run = async (name: string, text: string, args: readonly string[] = []) => {
    const script = join(scratch, name);
    await writeFile(script, text);
    return startProcess(script, { args });
  };

  it("leaves the event loop free during a long statement", async () => {
    const database = open();
    await database.query("select 1");
    let turns = 0;
    let turn = setImmediate(function again() {
      turns += 1;
      turn = setImmediate(again);
    });
    await database.query("select count(*) from generate_series(1, 1000000)");
    clearImmediate(turn);
    // Blocked, it would have had a turn or two.
    expect(turns).toBeGreaterThan(100);
  });

  it("keeps its rows in the folder, and locks it only while it is open", async () => {
    const folder = join(scratch, "new", "rows");
    const first = open({ folder });
    await first.exec("create table t (n int); insert into t values (1);");
    const second = open({ folder });
    await expect(second.query("select 1")).rejects.toThrow(
      `pglite.folder: got a folder in use, expected a folder of its own; process ${process.pid} on`,
    );
    await first.close();
    expect((await second.query("select n from t")).rows).toEqual([{ n: 1 }]);
    await second.close();
    expect(await readdir(folder)).not.toContain("sluice-lock");
  });

  it("refuses the folder of another process, and takes it over when that one was killed", async () => {
    const folder = join(scratch, "shared");
    const child = await run(
      "holder.ts",
      `import { pglite } from ${source("./pglite.ts")};
      const database = pglite({ folder: process.argv[2] });
      await database.exec("create table t (n int); insert into t values (1);");
      console.log("open");
      setInterval(() => {}, 1000);`,
      [folder],
    );
    try {
      await child.printed(/open/);
      await expect(open({ folder }).query("select 1")).rejects.toThrow(
        "pglite.folder: got a folder in use",
      );
    } finally {
      await child.kill();
    }
    expect((await open({ folder }).query("select n from t")).rows).toEqual([{ n: 1 }]);
  });

  it("lets the process end while it is idle and listens", async () => {
    const child = await run(
      "idle.ts",
      `import { pglite } from ${source("./pglite.ts")};
      const database = pglite();
      await database.listen("x", { onNotify() {}, onEnd: console.log });
      console.log((await database.query("select 1 as one")).rows);`,
    );
    expect(await child.ended, child.stderr).toEqual({ code: 0, signal: null });
    expect(child.stdout).toBe("[ { one: 1 } ]\n");
  });

  it("rejects a folder that is none, at every call", async () => {
    const file = join(scratch, "file");
    await writeFile(file, "");
    const database = open({ folder: file });
    await expect(database.query("select 1")).rejects.toThrow("pglite.folder: got");
    await expect(database.query("select 1")).rejects.toThrow("pglite.folder: got");
  });

  it("says in one line that the package is missing", async () => {
    // A copy of the sources beside which it is not installed.
    const copy = join(scratch, "copy");
    const own = new URL("..", import.meta.url).pathname;
    await cp(join(own, "src"), copy, { recursive: true });
    for (const name of ["zod", "@sluice"]) {
      await mkdir(join(copy, "node_modules"), { recursive: true });
      await symlink(join(own, "node_modules", name), join(copy, "node_modules", name));
    }
    const child = await run(
      "missing.ts",
      `import { pglite } from "./copy/pglite.ts";
      await pglite().query("select 1").catch((error) => console.log(error.code, error.message));`,
    );
    expect(await child.ended, child.stderr).toEqual({ code: 0, signal: null });
    expect(child.stdout).toBe(
      "SLUICE_CONFIG pglite: got no package @electric-sql/pglite, expected it to be installed beside @sluice/sql\n",
    );
  });

  it("refuses a parameter that cannot be handed over, and goes on", async () => {
    const database = open();
    await expect(database.query("select $1", [() => 1])).rejects.toThrow("could not be cloned");
    expect((await database.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  });

  it("undoes a transaction during which it is closed", async () => {
    const folder = join(scratch, "closed");
    const database = open({ folder });
    await database.query("create table t (n int)");
    const work = database.transaction(async (query) => {
      await query("insert into t values (1)");
      await database.close();
    });
    await expect(work).rejects.toThrow("The database is closed.");
    expect((await open({ folder }).query("select n from t")).rows).toEqual([]);
  });

  it("refuses options that it does not know", () => {
    expect(() => pglite({ path: "x" } as PgliteOptions)).toThrow("pglite.path: got an unknown");
    expect(() => pglite({ folder: "" })).toThrow("pglite.folder: got");
  });
});
