import type { LanguageModelV4 } from "@ai-sdk/provider";
import { ConfigError, describeValue } from "@sluice/contract";

/**
 * Refuses what is no language model of the AI SDK's version 4: the id of one, or an older one.
 * @throws ConfigError
 */
export function assertLanguageModel(
  option: string,
  value: unknown,
): asserts value is LanguageModelV4 {
  const { specificationVersion, doGenerate, doStream, provider, modelId } =
    typeof value === "object" && value !== null
      ? (value as Readonly<Record<string, unknown>>)
      : ({} as Readonly<Record<string, unknown>>);
  if (
    specificationVersion === "v4" &&
    typeof doGenerate === "function" &&
    typeof doStream === "function" &&
    typeof provider === "string" &&
    typeof modelId === "string"
  ) {
    return;
  }
  const other = typeof specificationVersion === "string" && specificationVersion !== "v4";
  throw new ConfigError({
    option,
    got: other
      ? `a model of specification ${describeValue(specificationVersion)}`
      : describeValue(value),
    expected: 'an AI SDK 7 language model (an object with specificationVersion "v4")',
  });
}
