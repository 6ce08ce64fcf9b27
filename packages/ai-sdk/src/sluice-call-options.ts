import type { LanguageModelV4CallOptions } from "@ai-sdk/provider";
import { parseOptions } from "@sluice/contract";
import { z } from "zod";

/** The namespace of Sluice in the AI SDK's `providerOptions`. */
const namespace = "sluice";

const sluiceCallOptionsSchema = z.strictObject({
  subject: z.string().optional(),
  run: z.string().optional(),
  requestId: z.string().optional(),
  attributes: z.record(z.string(), z.unknown()).optional(),
});

/** What one call may say of itself, in `providerOptions.sluice`. From the application, never its clients. */
export type SluiceCallOptions = Readonly<z.output<typeof sluiceCallOptionsSchema>>;

/**
 * A call's own options, and the call without them: they are nothing to its model.
 * @throws ConfigError
 */
export function takeSluiceOptions(params: LanguageModelV4CallOptions): {
  readonly own: SluiceCallOptions;
  readonly params: LanguageModelV4CallOptions;
} {
  const { providerOptions } = params;
  if (providerOptions?.[namespace] === undefined) return { own: {}, params };
  const { [namespace]: told, ...others } = providerOptions;
  const own = parseOptions(`providerOptions.${namespace}`, sluiceCallOptionsSchema, told);
  return { own, params: { ...params, providerOptions: others } };
}
