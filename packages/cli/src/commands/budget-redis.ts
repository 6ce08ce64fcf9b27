import { ConfigError, type Clock } from "@sluice/contract";
import { connectRedis } from "@sluice/redis";
import { CliFailure } from "../cli-failure.ts";
import { exitCodes } from "../exit-codes.ts";
import { urlSecrets } from "../url-secrets.ts";

type Redis = ReturnType<typeof connectRedis>;

/** For whoever waits at the terminal: for the connection and the answers together. */
const answerMs = 5000;

/**
 * Connects once, lets `work` read, and disconnects whatever it does.
 * @throws {CliFailure} without any secret of the URL.
 */
export async function withRedis<Result>(
  { url, clock }: { readonly url: string; readonly clock: Clock },
  work: (client: Redis) => Promise<Result>,
): Promise<Result> {
  const client = open(url);
  const { promise: lost, reject: lose } = Promise.withResolvers<never>();
  const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>();
  client.once("ready", becomeReady);
  // The client would go on trying; the first failure is what is told.
  client.once("error", lose);
  client.once("close", () => lose(new Error("the connection was closed")));
  const cancel = clock.after(answerMs, () =>
    lose(new Error(`no answer within ${String(answerMs / 1000)} s`)),
  );
  const read = async (): Promise<Result> => {
    await ready;
    try {
      return await work(client);
    } catch (error) {
      // What is read is not as a store writes it.
      if (error instanceof TypeError) throw new CliFailure(exitCodes.checkFailed, error.message);
      if (!(error instanceof Error) || error.name !== "ReplyError") throw error;
      throw failureOf(exitCodes.refused, "refused by Redis", error, url);
    }
  };
  try {
    return await Promise.race([read(), lost]);
  } catch (error) {
    if (!(error instanceof Error) || error instanceof CliFailure) throw error;
    throw failureOf(exitCodes.unreachable, "Redis can't be reached", error, url);
  } finally {
    cancel();
    client.disconnect();
  }
}

function open(url: string): Redis {
  try {
    // It does not reconnect, so there is nothing to spread.
    return connectRedis({ url, random: () => 0, connectTimeoutMs: answerMs });
  } catch (error) {
    if (!ConfigError.isInstance(error)) throw error;
    throw new CliFailure(
      exitCodes.usage,
      "the Redis URL (not shown) is none: expected redis://user:password@host:port/db",
    );
  }
}

function failureOf(
  exitCode: CliFailure["exitCode"],
  what: string,
  error: Error,
  url: string,
): CliFailure {
  const { code } = error as { readonly code?: unknown };
  // Of several addresses that were tried there is only a code.
  const why = error.message === "" && typeof code === "string" ? code : error.message;
  const line = urlSecrets(url).reduce((text, secret) => text.replaceAll(secret, "***"), why);
  return new CliFailure(exitCode, `${what}: ${line}`);
}
