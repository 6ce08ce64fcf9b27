import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FlagSource } from "@sluice/contract";
import { describeFlagSource, FakeClock } from "@sluice/testkit";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { flagFile, type FlagFileOptions } from "./flag-file.ts";

const open = "FEATURE_CHAT_AI=true\n";
const off = "FEATURE_CHAT_AI=false\n";
const killed = "FEATURE_CHAT_AI=true\nCHAT_AI_KILL=true\n";

/** A look at the file takes real time: little, but nobody knows how little. */
const waiting = { interval: 1, timeout: 4000 };

let directory = "";
let path = "";
let clock = new FakeClock();
let sources: FlagSource[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "sluice-flags-"));
  path = join(directory, "flags.env");
  // An hour ahead of the file system's clock: what a test wrote before was written long ago.
  clock = new FakeClock({ wallMs: Date.now() + 3_600_000 });
  sources = [];
});

afterEach(() => {
  for (const source of sources) source.close();
  rmSync(directory, { recursive: true, force: true });
});

function watch(options: FlagFileOptions = {}, at = path): FlagSource {
  const source = flagFile(at, { clock, ...options });
  sources.push(source);
  return source;
}

/** Lets one look at the file come to its end. */
async function look(source: FlagSource, ms = 20): Promise<void> {
  const before = source.confirmedAt();
  clock.advance(ms);
  await vi.waitFor(() => expect(source.confirmedAt()).not.toEqual(before), waiting);
}

/** Looks until a change has stood for the 50 ms after which it is believed. */
async function settle(source: FlagSource): Promise<void> {
  for (let i = 0; i < 5; i += 1) await look(source);
}

const isOpen = (source: FlagSource): boolean => {
  const flags = source.read("chat_ai");
  return flags.enabled && !flags.killed && flags.percent > 0;
};

describeFlagSource(
  "flagFile",
  (variables) => {
    const write = (next: typeof variables): void =>
      writeFileSync(
        path,
        Object.entries(next)
          .map(([name, value]) => `${name}=${value}\n`)
          .join(""),
      );
    write(variables);
    const source = watch();
    return {
      source,
      set: write,
      settle: () => (clock.pendingTimers > 0 ? settle(source) : undefined),
    };
  },
  { tells: true, text: true },
);

describe("a flag file at the start", () => {
  it("is believed at once where it was written long ago", () => {
    writeFileSync(path, `${open}CHAT_AI_ALLOWLIST=a,b\nCHAT_AI_ROLLOUT_PERCENT=5\n`);
    expect(watch().read("chat_ai")).toEqual({
      enabled: true,
      killed: false,
      percent: 5,
      allowlist: ["a", "b"],
      salt: "chat_ai",
      version: undefined,
      problems: [],
    });
  });

  it("that is just being written opens nothing until it has stood", async () => {
    clock = new FakeClock({ wallMs: Date.now() });
    writeFileSync(path, open);
    const source = watch();
    expect(isOpen(source)).toBe(false);
    await settle(source);
    expect(isOpen(source)).toBe(true);
  });

  it("that is missing leaves every flag unset, says so, and is picked up when it comes", async () => {
    const source = watch();
    expect(source.read("chat_ai")).toMatchObject({
      enabled: false,
      problems: [{ variable: "flagFile" }],
    });
    await look(source);
    writeFileSync(path, open);
    await settle(source);
    expect(source.read("chat_ai")).toMatchObject({ enabled: true, problems: [] });
  });

  it.each([
    ["no path", ""],
    ["no string", 5 as never],
  ])("with %s is refused by name", (_, wrong) => {
    expect(() => flagFile(wrong)).toThrow(/^flagFile\.path: got .*, expected the path of a file$/);
  });

  it.each([
    [{ pollMs: 1 }, "flagFile.pollMs: got 1, expected at least 5"],
    [{ stableMs: 1 }, "flagFile.stableMs: got 1, expected at least 10"],
    [
      { poll: 1 } as never,
      "flagFile.poll: got an unknown option, expected only documented options",
    ],
  ])("with the options %j is refused by name", (options, message) => {
    expect(() => flagFile(path, options)).toThrow(message);
  });
});

describe("a change that narrows", () => {
  it.each([
    ["a kill", killed],
    ["the end of the feature", off],
    ["no percentage", `${open}CHAT_AI_ROLLOUT_PERCENT=0\n`],
    ["a malformed percentage", `${open}CHAT_AI_ROLLOUT_PERCENT=5 %\n`],
    ["an unclear kill", `${open}CHAT_AI_KILL=flase\n`],
    ["an empty file", ""],
    ["garbage", "\0\u{fffd}{{{"],
  ])("counts at the next look: %s", async (_, content) => {
    writeFileSync(path, open);
    const source = watch();
    expect(isOpen(source)).toBe(true);
    writeFileSync(path, content);
    await look(source);
    expect(isOpen(source)).toBe(false);
    await settle(source);
    expect(isOpen(source)).toBe(false);
  });

  it("of the percentage or the list counts at the next look", async () => {
    writeFileSync(path, `${open}CHAT_AI_ROLLOUT_PERCENT=50\nCHAT_AI_ALLOWLIST=a,b\n`);
    const source = watch();
    writeFileSync(path, `${open}CHAT_AI_ROLLOUT_PERCENT=5\nCHAT_AI_ALLOWLIST=b,c\n`);
    await look(source);
    expect(source.read("chat_ai")).toMatchObject({ percent: 5, allowlist: ["b"] });
    await settle(source);
    expect(source.read("chat_ai")).toMatchObject({ percent: 5, allowlist: ["b", "c"] });
  });

  it("is told to listeners once it can be read", async () => {
    writeFileSync(path, open);
    const source = watch();
    const heard: boolean[] = [];
    const stop = source.onChange(() => heard.push(isOpen(source)));
    writeFileSync(path, killed);
    await look(source);
    expect(heard).toEqual([false]);
    stop();
    writeFileSync(path, open);
    await settle(source);
    expect(heard).toEqual([false]);
  });
});

function swapTo(version: string): void {
  symlinkSync(version, join(directory, "..data_tmp"));
  renameSync(join(directory, "..data_tmp"), join(directory, "..data"));
}

describe("a change that widens", () => {
  it("in place waits until it has stood for 50 ms", async () => {
    writeFileSync(path, off);
    const source = watch();
    writeFileSync(path, open);
    await look(source);
    await look(source);
    expect(isOpen(source)).toBe(false);
    await look(source);
    expect(isOpen(source)).toBe(false);
    await look(source);
    expect(isOpen(source)).toBe(true);
  });

  it("starts to wait again with each further write", async () => {
    writeFileSync(path, killed);
    const source = watch();
    for (let i = 0; i < 6; i += 1) {
      writeFileSync(path, `${open}# ${i}\n`);
      await look(source);
      await look(source);
      expect(isOpen(source)).toBe(false);
    }
    await settle(source);
    expect(isOpen(source)).toBe(true);
  });

  it("by rename is picked up", async () => {
    writeFileSync(path, killed);
    const source = watch();
    writeFileSync(join(directory, "next"), open);
    renameSync(join(directory, "next"), path);
    await settle(source);
    expect(isOpen(source)).toBe(true);
  });

  it("by a swap of the directory behind a link, as a ConfigMap does, is picked up both ways", async () => {
    for (const [version, content] of [
      ["v1", off],
      ["v2", open],
      ["v3", killed],
    ] as const) {
      mkdirSync(join(directory, version));
      writeFileSync(join(directory, version, "flags.env"), content);
    }
    swapTo("v1");
    symlinkSync(join("..data", "flags.env"), path);
    const source = watch();
    expect(isOpen(source)).toBe(false);
    swapTo("v2");
    await settle(source);
    expect(isOpen(source)).toBe(true);
    swapTo("v3");
    await look(source);
    expect(isOpen(source)).toBe(false);
  });
});

describe("a file that is half written", () => {
  it("opens nothing, whatever part of it is there: truncated, then a first line without the kill", async () => {
    writeFileSync(path, killed);
    const source = watch();
    for (const part of ["", "FEATURE_CHAT_AI=true", open, `${open}CHAT_AI_KI`, killed]) {
      writeFileSync(path, part);
      await look(source);
      expect(isOpen(source)).toBe(false);
    }
    await settle(source);
    expect(isOpen(source)).toBe(false);
  });

  it("I7 opens nothing over random writes that follow each other within 40 ms", {
    timeout: 30_000,
  }, async () => {
    const contents = fc.constantFrom(open, off, killed, "", `${open}CHAT_AI_ROLLOUT_PERCENT=`);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(contents, fc.nat(40)), { minLength: 1, maxLength: 24 }),
        async (writes) => {
          writeFileSync(path, off);
          const source = watch();
          for (const [content, length] of writes) {
            writeFileSync(path, content.slice(0, length));
            await look(source);
            expect(isOpen(source)).toBe(false);
            await look(source);
            expect(isOpen(source)).toBe(false);
          }
          writeFileSync(path, open);
          await settle(source);
          expect(isOpen(source)).toBe(true);
          source.close();
        },
      ),
      { numRuns: 20 },
    );
  });
});

describe("two writes of the same size that follow each other at once", () => {
  it("end with the later one", async () => {
    for (let i = 0; i < 20; i += 1) {
      writeFileSync(path, `${open}CHAT_AI_KILL=1\n`);
      const source = watch();
      writeFileSync(path, `${open}CHAT_AI_KILL=0\n`);
      clock.advance(20);
      await vi.waitFor(() => expect(source.confirmedAt()?.monotonicMs).toBe(clock.monotonicMs()), {
        interval: 1,
      });
      writeFileSync(path, `${open}CHAT_AI_KILL=1\n`);
      await settle(source);
      expect(isOpen(source)).toBe(false);
      source.close();
    }
  });
});

describe("a file that can't be read", () => {
  it("because it was deleted closes at the next look, and opens when it is back", async () => {
    writeFileSync(path, open);
    const source = watch();
    unlinkSync(path);
    await look(source);
    expect(isOpen(source)).toBe(false);
    expect(source.read("chat_ai").problems).toMatchObject([{ variable: "flagFile" }]);
    writeFileSync(path, open);
    await settle(source);
    expect(source.read("chat_ai")).toMatchObject({ enabled: true, problems: [] });
  });

  it("because it is larger than 1 MiB closes", async () => {
    const large = `${open}#${"x".repeat(1024 * 1024)}`;
    writeFileSync(path, open);
    const source = watch();
    writeFileSync(path, large);
    await settle(source);
    expect(isOpen(source)).toBe(false);
    expect(isOpen(watch())).toBe(false);
  });

  const broken: readonly (readonly [string, () => void])[] = [
    ["it is a directory", () => mkdirSync(path)],
    ["it is a link to itself", () => symlinkSync(path, path)],
  ];

  it.each(broken)("because %s grows stale, and is confirmed once it is back", async (_, damage) => {
    writeFileSync(path, open);
    const source = watch();
    await look(source);
    rmSync(path);
    damage();
    const confirmed = source.confirmedAt();
    for (let i = 0; i < 10; i += 1) await clock.advanceAsync(20);
    expect(source.confirmedAt()).toEqual(confirmed);
    rmSync(path, { recursive: true });
    writeFileSync(path, killed);
    // The last look may still be out, and keeps the next one from starting.
    await vi.waitFor(() => {
      clock.advance(20);
      expect(isOpen(source)).toBe(false);
    }, waiting);
    expect(source.confirmedAt()).not.toEqual(confirmed);
  });

  it.each(broken)("at the start because %s is closed and grows stale", async (_, damage) => {
    damage();
    const source = watch();
    const confirmed = source.confirmedAt();
    for (let i = 0; i < 10; i += 1) await clock.advanceAsync(20);
    expect(isOpen(source)).toBe(false);
    expect(source.confirmedAt()).toEqual(confirmed);
  });

  it.skipIf(process.getuid?.() === 0)("for want of the right grows stale", async () => {
    writeFileSync(path, open);
    const source = watch();
    await look(source);
    writeFileSync(path, killed);
    chmodSync(path, 0o000);
    const confirmed = source.confirmedAt();
    for (let i = 0; i < 10; i += 1) await clock.advanceAsync(20);
    expect(source.confirmedAt()).toEqual(confirmed);
  });

  it("whose path goes through a file is missing", () => {
    writeFileSync(path, open);
    expect(watch({}, join(path, "flags.env")).read("chat_ai")).toMatchObject({ enabled: false });
  });
});

describe("I9 the confirmation of a file", () => {
  it("I9 is of the time at which the look began, not of the time at which a thawed process ended it", async () => {
    writeFileSync(path, open);
    const source = watch();
    await look(source);
    clock.advance(20);
    const beganMs = clock.monotonicMs();
    // The look is out on the file system while the process stands still.
    clock.advance(60_000);
    await vi.waitFor(
      () => expect(source.confirmedAt()?.monotonicMs).toBeGreaterThanOrEqual(beganMs),
      waiting,
    );
    expect(source.confirmedAt()?.monotonicMs).toBe(beganMs);
  });
});

describe("what stands in a file", () => {
  const bom = "\u{feff}";
  it.each([
    ["a byte order mark", `${bom}CHAT_AI_KILL=true\n${open}`],
    ["CRLF", "FEATURE_CHAT_AI=true\r\nCHAT_AI_KILL=true\r\n"],
    ["CR alone", "FEATURE_CHAT_AI=true\rCHAT_AI_KILL=true\r"],
    ["quotes", `${open}CHAT_AI_KILL="true"\n`],
    ["single quotes", `${open}CHAT_AI_KILL='true'\n`],
    ["export", `${open}export CHAT_AI_KILL=true\n`],
    ["spaces", `${open}  CHAT_AI_KILL =  true  \n`],
    ["a comment behind it", `${open}CHAT_AI_KILL=true # since 03:00\n`],
    ["no line end", `${open}CHAT_AI_KILL=true`],
    ["a later line of the same name", `${open}CHAT_AI_KILL=false\nCHAT_AI_KILL=true\n`],
    [
      "a quote that an earlier line opens and a later one closes",
      `${open}CHAT_AI_ALLOWLIST="alice,bob\nCHAT_AI_KILL=true\n# the "night" shift\n`,
    ],
    [
      "a single quote in a name before it and one behind it",
      `${open}OWNER='O\nCHAT_AI_KILL=true\nNOTE=don't\n`,
    ],
    ["a backtick before it and one behind it", `${open}A=\`x\nCHAT_AI_KILL=true\nB=\`y\n`],
  ])("kills with %s", (_, content) => {
    writeFileSync(path, content);
    expect(watch().read("chat_ai").killed).toBe(true);
  });

  it.each([
    ["a byte order mark", `${bom}${open}`],
    ["CRLF", open.replace("\n", "\r\n")],
    ["a comment", `# chat\n\n${open}`],
  ])("enables with %s", (_, content) => {
    writeFileSync(path, content);
    expect(watch().read("chat_ai")).toMatchObject({ enabled: true, killed: false, percent: 100 });
  });

  it.each([
    ["a quote that a later line closes", `A="\nCHAT_AI_ROLLOUT_PERCENT=1\nB="\n${open}`],
    ["the line before it cut", `FEATURE_X\nCHAT_AI_ROLLOUT_PERCENT=1\n${open}`],
  ])("narrows with %s", (_, content) => {
    writeFileSync(path, content);
    expect(watch().read("chat_ai").percent).toBe(1);
  });

  it("tells each malformed value by its name", () => {
    writeFileSync(path, "FEATURE_CHAT_AI=yes\nCHAT_AI_KILL=maybe\nCHAT_AI_ROLLOUT_PERCENT=x\n");
    expect(
      watch()
        .read("chat_ai")
        .problems.map((problem) => problem.variable),
    ).toEqual(["FEATURE_CHAT_AI", "CHAT_AI_KILL", "CHAT_AI_ROLLOUT_PERCENT"]);
  });

  it("is handed out as the same object for as long as nothing changed", async () => {
    writeFileSync(path, open);
    const source = watch();
    const flags = source.read("chat_ai");
    await settle(source);
    expect(source.read("chat_ai")).toBe(flags);
  });
});

describe("switches of a file", () => {
  it("narrow at once and widen when the change has stood", async () => {
    writeFileSync(path, "FF_CHAT_GATEWAY_ENABLED=true\n");
    const source = watch();
    const enabled = () => source.readSwitches().switches.FF_CHAT_GATEWAY_ENABLED;
    expect(enabled()).toBe(true);
    writeFileSync(path, "FF_CHAT_GATEWAY_ENABLED=false\n");
    await look(source);
    expect(enabled()).toBe(false);
    writeFileSync(path, "FF_CHAT_GATEWAY_ENABLED=true\nFF_CHAT_GATEWAY_SHADOW=maybe\n");
    await look(source);
    expect(enabled()).toBe(false);
    expect(source.readSwitches().switches.FF_CHAT_GATEWAY_SHADOW).toBe(true);
    expect(source.readSwitches().problems).toMatchObject([{ variable: "FF_CHAT_GATEWAY_SHADOW" }]);
    await settle(source);
    expect(enabled()).toBe(true);
  });
});

describe("I12 a file that changes at every look", () => {
  it("I12 is shut until a state of it stands, however many states came before", async () => {
    writeFileSync(path, open);
    const source = watch();
    for (let i = 0; i < 40; i += 1) {
      writeFileSync(path, `${open}# ${i}\n`);
      await look(source);
    }
    expect(isOpen(source)).toBe(false);
    await settle(source);
    expect(isOpen(source)).toBe(true);
  });
});

describe("a source that is closed", () => {
  it("looks no more, and goes on answering what it knew", async () => {
    writeFileSync(path, open);
    const source = watch();
    source.close();
    expect(clock.pendingTimers).toBe(0);
    writeFileSync(path, killed);
    await clock.advanceAsync(1000);
    expect(isOpen(source)).toBe(true);
  });
});
