import type { AppEnv } from "./app-env.ts";
import { startLocalUpstream, type LocalUpstream } from "./local-upstream.ts";
import type { OpenedParts } from "./opened-parts.ts";

/** Who answers for the models. */
export interface Upstreams {
  /** The first one, where it is a stand-in of this machine. */
  readonly local: LocalUpstream | undefined;
  readonly customUrl: string | undefined;
  /** Whether calls cost nothing: both are stand-ins. */
  readonly isFree: boolean;
}

/** Stand-ins on this machine where there is no key. */
export async function startUpstreams(
  env: Pick<AppEnv, "OPENAI_API_KEY" | "CUSTOM_BASE_URL">,
  parts: OpenedParts,
): Promise<Upstreams> {
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
