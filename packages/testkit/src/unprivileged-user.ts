import { spawnSync } from "node:child_process";

export interface User {
  readonly uid: number;
  readonly gid: number;
}

/** Whom a server is run as that refuses to be root; undefined where this process is not root. */
export function unprivilegedUser(): User | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const name = idOf("-u", "postgres") === undefined ? "nobody" : "postgres";
  const [uid, gid] = [idOf("-u", name), idOf("-g", name)];
  if (uid === undefined || gid === undefined) throw new Error(`there is no user ${name}`);
  return { uid, gid };
}

function idOf(kind: "-u" | "-g", name: string): number | undefined {
  const { status, stdout } = spawnSync("id", [kind, name], { encoding: "utf8" });
  return status === 0 ? Number(stdout) : undefined;
}
