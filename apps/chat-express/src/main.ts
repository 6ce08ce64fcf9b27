import { basename } from "node:path";
import { ConfigError, type SluiceEvent } from "@sluice/contract";
import { flagFile, systemClock } from "@sluice/guard";
import { parseAppEnv, type AppEnv } from "./app-env.ts";
import { chatGuard } from "./chat-guard.ts";
import { openControlDatabase } from "./control-database.ts";
import { createApp } from "./create-app.ts";
import { createKillFile } from "./kill-file.ts";
import { startLocalUpstream } from "./local-upstream.ts";
import { openedParts, type OpenedParts } from "./opened-parts.ts";
import { prepareTables } from "./prepare-tables.ts";
import { serveApp } from "./serve-app.ts";
import { openSharedAdmission } from "./shared-admission.ts";
import { sqlControl, type SqlControl } from "./sql-control.ts";
import { switchProblemPrinter } from "./switch-problems.ts";

async function main(parts: OpenedParts): Promise<void> {
  const env = parseAppEnv(process.env);
  const database = openControlDatabase(env, printProblem);
  if (database !== undefined) parts.add(() => database.db.close());
  // Before anything else is opened: another process may have the folder.
  const tables =
    database &&
    (await prepareTables(database, {
      clock: systemClock,
      random: Math.random,
      onChange: printProblem,
    }));
  parts.add(() => tables?.stop());
  const { local, customUrl, isFree } = await startUpstreams(env, parts);
  const control =
    database &&
    sqlControl(database.db, {
      environment: env.SLUICE_ENVIRONMENT,
      providers: customUrl === undefined ? ["openai"] : ["openai", "custom"],
      onProblem: printProblem,
    });
  const flags = control?.flags ?? flagFile(env.SLUICE_FLAGS_FILE);
  parts.add(() => (control ?? flags).close());
  const shared =
    env.REDIS_URL === undefined
      ? undefined
      : openSharedAdmission({
          url: env.REDIS_URL,
          secret: env.ADMISSION_SECRET,
          flags,
          onState: printProblem,
        });
  parts.add(() => shared?.close());
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
  parts.add(() => guard.close());
  flags.onChange(switchProblemPrinter(() => flags.readSwitches().problems, printProblem));

  const app = createApp({
    guard,
    flags,
    flagsOrigin:
      database === undefined
        ? `the file ${basename(env.SLUICE_FLAGS_FILE)}`
        : `the table feature_state (${database.variable})`,
    killSwitch: control?.killSwitch ?? createKillFile(env.SLUICE_FLAGS_FILE),
    figures: control?.figures,
    probe: probeOf(env, control, isFree),
    upstream: local === undefined ? env.OPENAI_MODEL : "local stand-in",
    breakDown: local && ((broken) => local.breakDown(broken)),
  });
  // From its first request on it obeys what stands in the tables.
  if (tables?.isPrepared === true) await control?.ready();
  const served = serveApp(app, {
    host: env.CHAT_HOST,
    port: env.PORT,
    onListening: (url) => console.log(`chat-express listens on ${url}`),
    onStopped: () => void parts.close(),
    onError(error, isListening) {
      console.error(`chat-express: ${error.message}`);
      // What fails later, such as one connection that can't be accepted, ends nothing.
      if (isListening) return;
      process.exitCode = 1;
      void parts.close();
    },
  });
  process.once("SIGTERM", () => served.stop());
  process.once("SIGINT", () => served.stop());
}

/** Stand-ins on this machine where there is no key. */
async function startUpstreams(env: AppEnv, parts: OpenedParts) {
  if (env.OPENAI_API_KEY !== undefined) {
    return { local: undefined, customUrl: env.CUSTOM_BASE_URL, isFree: false };
  }
  const local = await startLocalUpstream("first");
  parts.add(() => local.stop());
  console.log(`No OPENAI_API_KEY: a local stand-in for OpenAI answers at ${local.baseUrl}`);
  if (env.CUSTOM_BASE_URL !== undefined) {
    return { local, customUrl: env.CUSTOM_BASE_URL, isFree: false };
  }
  const second = await startLocalUpstream("second");
  parts.add(() => second.stop());
  return { local, customUrl: second.baseUrl, isFree: true };
}

/** A run calls a provider, and only those of this machine cost nothing. */
function probeOf(env: AppEnv, control: SqlControl | undefined, isFree: boolean) {
  const { SLUICE_PROBE_TOKEN: token } = env;
  return token === undefined ? undefined : { token, instance: control?.instance, isFree };
}

function printProblem(line: string): void {
  console.error(line);
}

function printAlert(event: SluiceEvent): void {
  if (event.event === "alert") console.error(JSON.stringify(event));
}

const parts = openedParts();
try {
  await main(parts);
} catch (error) {
  if (!ConfigError.isInstance(error)) throw error;
  console.error(error.message);
  process.exitCode = 2;
  await parts.close();
}
