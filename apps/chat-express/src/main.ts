import { basename } from "node:path";
import { ConfigError, type MetricSink, type SluiceEvent } from "@sluice/contract";
import { flagFile, systemClock } from "@sluice/guard";
import { parseAppEnv, type AppEnv } from "./app-env.ts";
import { chatGuard } from "./chat-guard.ts";
import { openControlDatabase } from "./control-database.ts";
import { createApp } from "./create-app.ts";
import { createFlagsFile } from "./flags-file.ts";
import { liveCounts } from "./live-counts.ts";
import { openedParts, type OpenedParts } from "./opened-parts.ts";
import { prepareTables } from "./prepare-tables.ts";
import { serveApp } from "./serve-app.ts";
import { openSharedAdmission } from "./shared-admission.ts";
import { startUpstreams } from "./start-upstreams.ts";
import { sqlControl, type SqlControl } from "./sql-control.ts";

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
  const counts = liveCounts();
  const guard = chatGuard({
    flags,
    model: env.OPENAI_MODEL,
    timeoutMs: env.CHAT_AI_TIMEOUT_MS,
    price: {
      inputNanoUsdPerToken: env.CHAT_AI_INPUT_NANO_USD,
      outputNanoUsdPerToken: env.CHAT_AI_OUTPUT_NANO_USD,
    },
    admission: shared?.store,
    routes: control?.routes,
    environment: env.SLUICE_ENVIRONMENT,
    metrics: both(counts.metrics, control?.metrics),
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
  // It tells of each malformed one, also before anybody asks.
  guard.switches();
  flags.onChange(() => void guard.switches());

  const file = createFlagsFile(env.SLUICE_FLAGS_FILE);
  const fileName = `the file ${basename(env.SLUICE_FLAGS_FILE)}`;
  const { app, drain } = createApp({
    guard,
    flags,
    flagsOrigin:
      database === undefined ? fileName : `the table feature_state (${database.variable})`,
    switchesOrigin:
      database === undefined
        ? fileName
        : "rows of the table feature_state, or else in the environment of this process",
    flagsFile: control === undefined ? file : undefined,
    killSwitch: (control ?? file).killSwitch,
    counts,
    shadow: {
      mirrorShare: env.CHAT_SHADOW_MIRROR_PERCENT / 100,
      costNanoUsdPerDay: env.CHAT_SHADOW_CENTS_PER_DAY * nanoUsdPerCent,
    },
    figures: control?.figures,
    probe: probeOf(env, control, isFree),
    upstream: local === undefined ? env.OPENAI_MODEL : "local stand-in",
    breakDown: local && ((broken) => local.breakDown(broken)),
  });
  // From its first request on it obeys what stands in the tables.
  if (tables?.isPrepared === true) await control?.ready();
  let drained: Promise<void> = Promise.resolve();
  const served = serveApp(app, {
    host: env.CHAT_HOST,
    port: env.PORT,
    onListening: (url) => console.log(`chat-express listens on ${url}`),
    onStopped: () => void drained.then(() => parts.close()),
    onError(error, isListening) {
      console.error(`chat-express: ${error.message}`);
      // What fails later, such as one connection that can't be accepted, ends nothing.
      if (isListening) return;
      process.exitCode = 1;
      void parts.close();
    },
  });
  const stop = (): void => {
    drained = drain(env.CHAT_DRAIN_MS);
    served.stop(env.CHAT_DRAIN_MS);
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
}

const nanoUsdPerCent = 10_000_000;

const both =
  (own: MetricSink, fleet: MetricSink | undefined): MetricSink =>
  (sample) => {
    own(sample);
    fleet?.(sample);
  };

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
