import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { z } from "zod";
import { errorCode } from "./error-code.ts";

/** Known on Linux only; elsewhere null. */
const linuxOnly = z.string().nullable().default(null);

/** A process, told from every other that ever ran on any machine as well as the system lets it. */
export const folderOwnerSchema = z.object({
  host: z.string(),
  /** Which start of the machine's kernel; its containers share it. */
  boot: linuxOnly,
  /** Within which the pid means anything; each container has one of its own. */
  pidNamespace: linuxOnly,
  pid: z.int().positive(),
  /** When the process began, in ticks since the kernel did: a later process may have the same pid. */
  start: linuxOnly,
});

export type FolderOwner = z.infer<typeof folderOwnerSchema>;

export function thisProcess(): FolderOwner {
  return {
    host: hostname(),
    boot: quietly(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()),
    pidNamespace: quietly(() => readlinkSync("/proc/self/ns/pid")),
    pid: process.pid,
    start: statOf(process.pid)?.start ?? null,
  };
}

/**
 * Whether a process still runs, seen from this one. `unknown`: it is on another machine, or in a container
 * whose processes can't be seen from here. Machines and containers that run at the same time and share a
 * folder must differ in their host names: of the same name, the earlier one is taken for gone.
 */
export function fateOf(owner: FolderOwner): "alive" | "gone" | "unknown" {
  const self = thisProcess();
  const isSameHost = owner.host === self.host;
  if (isDifferent(owner.boot, self.boot)) return isSameHost ? "gone" : "unknown";
  if (isDifferent(owner.pidNamespace, self.pidNamespace)) {
    if (isSeenWithin(owner)) return "alive";
    return isSameHost ? "gone" : "unknown";
  }
  // With both known to be ours, what the host was called then says nothing more.
  const isSameSpace = owner.boot !== null && owner.pidNamespace !== null;
  if (!isSameHost && !isSameSpace) return "unknown";
  return isRunning(owner) ? "alive" : "gone";
}

const isDifferent = (one: string | null, other: string | null): boolean =>
  one !== null && other !== null && one !== other;

function isRunning({ pid, start }: FolderOwner): boolean {
  const stat = statOf(pid);
  if (stat !== null && start !== null) return !stat.hasEnded && stat.start === start;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Not permitted: it is somebody else's, and alive.
    return errorCode(error) !== "ESRCH";
  }
}

/** A container's process is seen from the machine, by another pid than its own; not the other way round. */
function isSeenWithin({ pid, start }: FolderOwner): boolean {
  const pids = quietly(() => readdirSync("/proc").filter((name) => /^\d+$/.test(name))) ?? [];
  return pids.some((name) => {
    const stat = statOf(Number(name));
    if (stat === null || stat.hasEnded || stat.start !== start) return false;
    const status = quietly(() => readFileSync(`/proc/${name}/status`, "utf8")) ?? "";
    return /^NSpid:.*\s(\d+)$/m.exec(status)?.[1] === String(pid);
  });
}

interface Stat {
  readonly start: string;
  /** It waits for its parent to hear of its end, and does nothing any more. */
  readonly hasEnded: boolean;
}

/** Null where there is no such process, or no Linux. */
function statOf(pid: number): Stat | null {
  const stat = quietly(() => readFileSync(`/proc/${pid}/stat`, "utf8"));
  // Fields 3 and 22 of proc(5); the second, a name in parentheses, may hold spaces.
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  const start = fields?.[19];
  if (start === undefined) return null;
  return { start, hasEnded: fields?.[0] === "Z" || fields?.[0] === "X" };
}

function quietly<Result>(read: () => Result): Result | null {
  try {
    return read();
  } catch {
    return null;
  }
}
