import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { startProcess, type RunningProcess } from "@sluice/testkit";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const folder = `${root}apps/chat-next`;
const next = `${folder}/node_modules/next/dist/bin/next`;

/**
 * Builds the app and the packages that it bundles; what is built already and did not change comes from turbo's
 * cache. `next start` serves builds alone.
 */
export async function buildChatNext(): Promise<void> {
  const turbo = spawn(
    `${root}node_modules/.bin/turbo`,
    ["run", "build", "--filter=@sluice/chat-next", "--output-logs=errors-only"],
    {
      cwd: root,
      // Not the tests' own: the build is a production one whoever asks for it.
      env: { ...process.env, NODE_ENV: "production", TURBO_TELEMETRY_DISABLED: "1" },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let said = "";
  for (const output of [turbo.stdout, turbo.stderr]) {
    output.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
  }
  const [code] = (await once(turbo, "close")) as [number | null];
  if (code !== 0) throw new Error(`chat-next could not be built:\n${said}`);
}

export interface RunningChat extends RunningProcess {
  readonly url: string;
}

/** `next start` of the built app, on a free port. */
export async function startChatNext(env: Readonly<Record<string, string>>): Promise<RunningChat> {
  const app = startProcess(next, {
    args: ["start", "-H", "127.0.0.1", "-p", "0"],
    cwd: folder,
    env: { NEXT_TELEMETRY_DISABLED: "1", ...env },
  });
  await app.printed(/Ready in/);
  const [, url = ""] = await app.printed(/Local:\s+(http:\S+)/);
  return Object.assign(app, { url });
}
