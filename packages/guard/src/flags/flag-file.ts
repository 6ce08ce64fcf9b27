import { readFileSync, statSync, type BigIntStats } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { parseEnv } from "node:util";
import {
  ConfigError,
  describeValue,
  parseOptions,
  type Confirmation,
  type FeatureFlags,
  type FlagProblem,
  type FlagSource,
  type Switches,
} from "@sluice/contract";
import {
  flagsOf,
  narrowest,
  narrowestSwitches,
  parseSwitches,
  type Variables,
} from "@sluice/policy";
import { z } from "zod";
import { createListeners } from "../listeners.ts";
import { clockSchema, systemClock } from "../system-clock.ts";

const optionsSchema = z.strictObject({
  clock: clockSchema.optional(),
  /** How often the file is looked at. */
  pollMs: z.int().min(5).max(1000).default(20),
  /** How long a change must stand unchanged before it may widen anything. */
  stableMs: z.int().min(10).max(60_000).default(50),
});

export type FlagFileOptions = Readonly<z.input<typeof optionsSchema>>;

/** More unfinished states than this and everything stays shut until one of them stands. */
const maxUnstable = 16;
const maxBytes = 1024 * 1024;
/** File systems that note times more coarsely than this are of no concern (FAT: 2 s). */
const coarsestTimestampMs = 2000;
const nothing: Variables = {};

/**
 * Flags from a file in `.env` form, a mounted ConfigMap say. What narrows counts at the next look; what
 * widens only once the file has stood unchanged for `stableMs`, so a half-written file opens nothing.
 * The file is polled, because no file system notifies on every change of every kind of mount. A file
 * that does not exist leaves every flag unset. While it can't be looked at, its flags grow stale.
 * @throws ConfigError for a wrong option; never for the file.
 */
export function flagFile(path: string, options: FlagFileOptions = {}): FlagSource {
  if (typeof path !== "string" || path === "") {
    throw new ConfigError({
      option: "flagFile.path",
      got: describeValue(path),
      expected: "the path of a file",
    });
  }
  const { clock: givenClock, pollMs, stableMs } = parseOptions("flagFile", optionsSchema, options);
  const clock = givenClock ?? systemClock;
  const settlingMs = stableMs + coarsestTimestampMs;

  /** What stood long enough to be believed. */
  let stable = nothing;
  /** What was seen since, oldest first: it may narrow, not widen. */
  let unstable: Variables[] = [];
  let content: string | undefined;
  let signature = "";
  let changedAtMs = Number.NEGATIVE_INFINITY;
  let confirmed: Confirmation = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
  let looking = false;
  let closed = false;
  let missing: FlagProblem | undefined;

  const flagsCache = new Map<string, FeatureFlags>();
  let switchesCache:
    | { readonly switches: Switches; readonly problems: readonly FlagProblem[] }
    | undefined;
  const listeners = createListeners<[]>();

  const changed = (): void => {
    flagsCache.clear();
    switchesCache = undefined;
    listeners.tell();
  };

  const see = (next: string | undefined): void => {
    content = next;
    changedAtMs = clock.monotonicMs();
    missing =
      next === undefined
        ? {
            variable: "flagFile",
            expected: "a file of at most 1 MiB at the path given",
            readAs: "no flag set",
          }
        : undefined;
    unstable.push(parseVariables(next));
    if (unstable.length > maxUnstable) unstable = [nothing];
    changed();
  };

  const believe = (): void => {
    if (unstable.length === 0) return;
    stable = parseVariables(content);
    unstable = [];
    changed();
  };

  const look = async (): Promise<void> => {
    // The file is known as it was now: the process may stand still before the answer is there.
    const asked = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
    const stats = await statOrMissing(path);
    const nextSignature = signatureOf(stats);
    const settling = asked.monotonicMs - changedAtMs < settlingMs;
    if (nextSignature !== signature || settling) {
      // Two writes within one tick of the file system's clock leave the same signature, so the content is
      // read again until its time is past such doubt.
      const next = stats === undefined ? undefined : await readOrMissing(path, stats);
      if (nextSignature !== signature) changedAtMs = clock.monotonicMs();
      signature = nextSignature;
      if (next !== content) see(next);
    }
    if (asked.monotonicMs - changedAtMs >= stableMs) believe();
    confirmed = asked;
  };

  try {
    const stats = statSync(path, { bigint: true });
    see(stats.size > maxBytes ? undefined : readFileSync(path, "utf8"));
    signature = signatureOf(stats);
    // A file that was last touched long ago has stood already.
    const touchedMs = Number(stats.mtimeMs > stats.ctimeMs ? stats.mtimeMs : stats.ctimeMs);
    if (clock.wallMs() - touchedMs >= stableMs) believe();
  } catch {
    see(undefined);
  }

  const stop = clock.every(pollMs, () => {
    if (looking || closed) return;
    looking = true;
    look()
      // Not confirmed: the flags grow stale, and guarded features close.
      .catch(() => undefined)
      .finally(() => {
        looking = false;
      });
  });

  return {
    name: "file",
    read(feature) {
      let flags = flagsCache.get(feature);
      if (flags === undefined) {
        const [first, ...rest] = [stable, ...unstable].map((variables) =>
          flagsOf(feature, variables),
        );
        flags = rest.reduce(narrowest, first ?? flagsOf(feature, nothing));
        if (missing !== undefined) flags = { ...flags, problems: [...flags.problems, missing] };
        flagsCache.set(feature, flags);
      }
      return flags;
    },
    readSwitches() {
      if (switchesCache === undefined) {
        const latest = parseSwitches(unstable.at(-1) ?? stable);
        const switches = unstable
          .map((variables) => parseSwitches(variables).switches)
          .reduce(narrowestSwitches, parseSwitches(stable).switches);
        switchesCache = { switches, problems: latest.problems };
      }
      return switchesCache;
    },
    confirmedAt: () => confirmed,
    onChange: (listener) => listeners.add(listener),
    close() {
      closed = true;
      stop();
      listeners.clear();
    },
  };
}

function parseVariables(content: string | undefined): Variables {
  if (content === undefined) return nothing;
  const variables: Record<string, string | undefined> = {};
  // A byte order mark would hide the name of the first variable, which may be the kill; a quote left open
  // in one line would hide the lines up to the next quote. No flag needs more than its line.
  for (const line of content.replace(/^\u{feff}/u, "").split(/[\r\n]+/)) {
    if (line.includes("=")) Object.assign(variables, parseEnv(line));
  }
  return variables;
}

function signatureOf(stats: BigIntStats | undefined): string {
  return stats === undefined
    ? "missing"
    : `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`;
}

async function statOrMissing(path: string): Promise<BigIntStats | undefined> {
  try {
    return await stat(path, { bigint: true });
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function readOrMissing(path: string, stats: BigIntStats): Promise<string | undefined> {
  if (stats.size > maxBytes) return undefined;
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  const code = (error as { readonly code?: unknown } | null)?.code;
  return code === "ENOENT" || code === "ENOTDIR";
}
