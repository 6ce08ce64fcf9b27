import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A server of the benchmark's own, without a disk, that may stand still. */
export interface OwnRedis {
  readonly url: string;
  pause(): void;
  resume(): void;
  remove(): Promise<void>;
}

export async function startRedis(): Promise<OwnRedis> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-bench-redis-"));
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address() as AddressInfo;
  taken.close();
  await once(taken, "close");
  const flags = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder];
  const server = spawn("redis-server", flags, { stdio: "ignore" });
  await once(server, "spawn");
  return {
    url: `redis://127.0.0.1:${port}`,
    pause: () => void server.kill("SIGSTOP"),
    resume: () => void server.kill("SIGCONT"),
    async remove() {
      server.kill("SIGKILL");
      await once(server, "exit");
      await rm(folder, { recursive: true });
    },
  };
}
