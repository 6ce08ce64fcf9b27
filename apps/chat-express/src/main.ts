import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { ConfigError, type SluiceEvent } from "@sluice/contract";
import { flagFile } from "@sluice/guard";
import { parseAppEnv } from "./app-env.ts";
import { chatGuard } from "./chat-guard.ts";
import { openControlDatabase, prepareTables } from "./control-database.ts";
import { createApp } from "./create-app.ts";
import { createKillFile } from "./kill-file.ts";
import { startLocalUpstream } from "./local-upstream.ts";
import { openSharedAdmission } from "./shared-admission.ts";
import { sqlControl } from "./sql-control.ts";

/** How long open answers may take to finish after SIGTERM. */
const drainMs = 5000;

async function main(): Promise<void> {
  const env = parseAppEnv(process.env);
  const database = openControlDatabase(env, printProblem);
  // Before anything else is opened: another process may have the folder.
  const isPrepared = database !== undefined && (await prepareTables(database, printProblem));
  const local = env.OPENAI_API_KEY === undefined ? await startLocalUpstream("first") : undefined;
  const second =
    local !== undefined && env.CUSTOM_BASE_URL === undefined
      ? await startLocalUpstream("second")
      : undefined;
  if (local !== undefined) {
    console.log(`No OPENAI_API_KEY: a local stand-in for OpenAI answers at ${local.baseUrl}`);
  }
  const customUrl = second?.baseUrl ?? env.CUSTOM_BASE_URL;
  const control =
    database &&
    sqlControl(database.db, {
      environment: env.SLUICE_ENVIRONMENT,
      providers: customUrl === undefined ? ["openai"] : ["openai", "custom"],
      onProblem: printProblem,
    });
  const flags = control?.flags ?? flagFile(env.SLUICE_FLAGS_FILE);
  const shared =
    env.REDIS_URL === undefined
      ? undefined
      : openSharedAdmission({
          url: env.REDIS_URL,
          secret: env.ADMISSION_SECRET,
          flags,
          onState: printProblem,
        });
  const guard = chatGuard({
    flags,
    model: env.OPENAI_MODEL,
    timeoutMs: env.CHAT_AI_TIMEOUT_MS,
    admission: shared?.store,
    routes: control?.routes,
    environment: env.SLUICE_ENVIRONMENT,
    metrics: control?.metrics,
    // Else the provider reads its own variables, and says which of them is wrong.
    apiKey: local === undefined ? undefined : "local",
    baseUrl: local?.baseUrl,
    custom:
      customUrl === undefined
        ? undefined
        : { baseUrl: customUrl, apiKey: env.CUSTOM_API_KEY, model: env.CUSTOM_MODEL },
    sinks: control === undefined ? [printAlert] : [printAlert, control.sink],
  });
  flags.onChange(switchProblemPrinter(() => flags.readSwitches().problems));

  const app = createApp({
    guard,
    flags,
    killSwitch: control?.killSwitch ?? createKillFile(env.SLUICE_FLAGS_FILE),
    figures: control?.figures,
    probe:
      env.SLUICE_PROBE_TOKEN === undefined
        ? undefined
        : {
            token: env.SLUICE_PROBE_TOKEN,
            instance: control?.instance,
            // A run calls a provider, and only those of this machine cost nothing.
            isFree: local !== undefined && second !== undefined,
          },
    upstream: local === undefined ? env.OPENAI_MODEL : "local stand-in",
    breakDown: local && ((broken) => local.breakDown(broken)),
  });
  // From its first request on it obeys what stands in the tables.
  if (isPrepared) await control?.ready();
  const server = createServer(app);
  const release = (): void => {
    guard.close();
    shared?.close();
    if (control === undefined) flags.close();
    else void control.close();
    void local?.stop();
    void second?.stop();
  };
  server.listen(env.PORT, env.CHAT_HOST, () => {
    const { port } = server.address() as AddressInfo;
    const host = env.CHAT_HOST.includes(":") ? `[${env.CHAT_HOST}]` : env.CHAT_HOST;
    console.log(`chat-express listens on http://${host}:${port}`);
  });
  server.on("error", (error) => {
    console.error(`chat-express: ${error.message}`);
    // What fails later, such as one connection that can't be accepted, ends nothing.
    if (server.listening) return;
    process.exitCode = 1;
    release();
  });

  let stopping = false;
  server.on("request", (_req, res) => {
    // A kept connection would keep the process after its last answer.
    res.once("close", () => {
      if (stopping) setImmediate(() => server.closeIdleConnections());
    });
  });
  const stop = (): void => {
    stopping = true;
    server.close(release);
    server.closeIdleConnections();
    setTimeout(() => server.closeAllConnections(), drainMs).unref();
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
}

function printProblem(line: string): void {
  console.error(line);
}

function printAlert(event: SluiceEvent): void {
  if (event.event === "alert") console.error(JSON.stringify(event));
}

/** Tells of each malformed switch once for as long as it stays malformed. */
function switchProblemPrinter(
  read: () => readonly {
    readonly variable: string;
    readonly expected: string;
    readonly readAs: string;
  }[],
): () => void {
  let told = new Set<string>();
  const print = (): void => {
    const problems = read();
    for (const { variable, expected, readAs } of problems) {
      if (!told.has(variable)) {
        console.error(`${variable} is malformed: expected ${expected}; it is read as ${readAs}`);
      }
    }
    told = new Set(problems.map(({ variable }) => variable));
  };
  print();
  return print;
}

try {
  await main();
} catch (error) {
  if (!ConfigError.isInstance(error)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}
