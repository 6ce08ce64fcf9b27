export { aiSdkProvider, type AiSdkProviderOptions } from "./ai-sdk-provider.ts";
export {
  guardMiddleware,
  type GuardMiddleware,
  type GuardMiddlewareOptions,
  type GuardModelOptions,
} from "./guard-middleware.ts";
export {
  guardedLanguageModel,
  type GuardedLanguageModel,
  type GuardedLanguageModelOptions,
} from "./guarded-language-model.ts";
export type { GuardControls } from "./model-guard.ts";
export type { PromptContext, PromptMessage } from "./prompt-message.ts";
export type { SluiceCallOptions } from "./sluice-call-options.ts";
export { SluiceDeniedError } from "./sluice-denied-error.ts";
export { SluiceFailedError } from "./sluice-failed-error.ts";
