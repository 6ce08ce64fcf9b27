import { createServer, connect, type Server } from "node:net";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface FileIdentity {
  readonly dev: bigint;
  readonly ino: bigint;
}

/**
 * Where the lock of a file listens. By the file's identity, so that links and other spellings of its
 * path find the same lock. Linux' abstract sockets and Windows' pipes go with their process, however it
 * ends; elsewhere the socket is a file, which {@link holdLock} tells from a live one.
 */
export function lockAddress(
  { dev, ino }: FileIdentity,
  platform: NodeJS.Platform = process.platform,
): string {
  const name = `sluice-slotgen-${dev}-${ino}`;
  if (platform === "linux") return `\0${name}`;
  if (platform === "win32") return `\\\\.\\pipe\\${name}`;
  return join(tmpdir(), `${name}.sock`);
}

/**
 * Takes the lock, or tells that a living process of this machine has it.
 * @returns what gives it back; undefined when it is taken
 */
export async function holdLock(address: string): Promise<(() => Promise<void>) | undefined> {
  let server = await listen(address);
  if (server === undefined && isFile(address) && !(await isAnswered(address))) {
    await rm(address, { force: true });
    server = await listen(address);
  }
  if (server === undefined) return undefined;
  const held = server;
  return () =>
    new Promise((resolve) => {
      held.close(() => resolve());
    });
}

const isFile = (address: string): boolean => !address.startsWith("\0") && !address.startsWith("\\");

function listen(address: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.unref();
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(undefined);
      else reject(error);
    });
    server.listen(address, () => resolve(server));
  });
}

function isAnswered(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
