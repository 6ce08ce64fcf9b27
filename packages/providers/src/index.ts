export { customProvider, type CustomProviderOptions } from "./custom-provider.ts";
export {
  functionProvider,
  type FunctionContext,
  type FunctionProviderOptions,
} from "./function-provider.ts";
export type { Api } from "./openai-compatible.ts";
export { openaiProvider, type OpenaiProviderOptions } from "./openai-provider.ts";
export type { Prompt, PromptContext, PromptMessage } from "./prompt.ts";
export { ProviderError } from "./provider-error.ts";
