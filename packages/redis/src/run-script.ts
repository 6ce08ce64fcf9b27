import type { RedisClient } from "./redis-client.ts";
import type { Script } from "./scripts.ts";

/** Runs scripts on one client. */
export interface ScriptRunner {
  readonly run: RunScript;
  /** Loads them now, and with each new connection before anything else is sent. */
  load(scripts: readonly Script[]): void;
  close(): void;
}

export type RunScript = (
  script: Script,
  keys: readonly string[],
  args: readonly (string | number)[],
) => Promise<unknown>;

/**
 * Runs scripts by their SHA. A server that does not know one is sent its text once, however many ask at the
 * same time; the others wait for that and then name the SHA.
 */
export function scriptRunner(client: RedisClient): ScriptRunner {
  const loading = new Map<Script, Promise<unknown>>();

  let wanted: readonly Script[] = [];
  const loadAll = (): void => {
    for (const { text } of wanted) {
      // Where it fails, the first call loads it.
      client.script("LOAD", text).catch(() => undefined);
    }
  };
  client.on("ready", loadAll);

  const loadOne: RunScript = (script, keys, args) => {
    const loaded = client.eval(script.text, keys.length, ...keys, ...args);
    loading.set(script, loaded);
    const forget = (): void => void loading.delete(script);
    loaded.then(forget, forget);
    return loaded;
  };

  const run: RunScript = async (script, keys, args) => {
    try {
      return await client.evalsha(script.sha, keys.length, ...keys, ...args);
    } catch (error) {
      if (!isUnknown(error)) throw error;
    }
    const underWay = loading.get(script);
    if (underWay === undefined) return loadOne(script, keys, args);
    await underWay.catch(() => undefined);
    try {
      return await client.evalsha(script.sha, keys.length, ...keys, ...args);
    } catch (error) {
      // Another node of a cluster.
      if (isUnknown(error)) return client.eval(script.text, keys.length, ...keys, ...args);
      throw error;
    }
  };
  return {
    run,
    load(given) {
      wanted = given;
      if (client.status === "ready") loadAll();
    },
    close: () => void client.off("ready", loadAll),
  };
}

const isUnknown = (error: unknown): boolean =>
  error instanceof Error && error.message.startsWith("NOSCRIPT");
