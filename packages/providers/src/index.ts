export {
  functionProvider,
  type FunctionContext,
  type FunctionProviderOptions,
} from "./function-provider.ts";
export {
  openaiProvider,
  type OpenaiProviderOptions,
  type PromptMessage,
} from "./openai-provider.ts";
export { ProviderError } from "./provider-error.ts";
