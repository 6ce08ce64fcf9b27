import type { ChatGatewayOptions, countResponses } from "@sluice/express";
import type { FetchGatewayOptions, ShadowSettings } from "@sluice/gateway";
import type {
  ChatGatewayOptions as NextChatGatewayOptions,
  DrainOptions,
  PagesChatGatewayOptions,
  shared,
} from "@sluice/next";
import { all, optional, required, type Part } from "./part-options.ts";

interface Value {
  readonly reply: string;
}

type ExpressOptions = ChatGatewayOptions<unknown, Value, Value, Value>;
type FetchOptions = FetchGatewayOptions<unknown, Value, Value, Value>;

/** The chat gateway on its hosts. */
export const gatewayParts: readonly Part[] = [
  {
    heading: "`chatGateway`",
    sources: ["packages/gateway/src/gateway-options.ts"],
    options: all<ExpressOptions>({
      guard: required("object"),
      subject: required("function"),
      legacy: optional("function"),
      input: optional("object"),
      attributes: optional("function"),
      run: optional("function"),
      provider: optional("function"),
      requestId: optional("function"),
      protocol: optional("choice"),
      meta: optional("boolean"),
      headers: optional("boolean"),
      rateLimitHeaders: optional("choice"),
      bodyLimitBytes: optional("integer"),
      shadow: optional("object"),
      onOutcome: optional("function"),
      clock: optional("clock"),
    }),
  },
  {
    heading: "Beside the legacy handler",
    sources: ["packages/gateway/src/shadow-options.ts"],
    options: all<ShadowSettings<Value>>({
      mirrorShare: optional("number"),
      maxMirrors: optional("integer"),
      costNanoUsdPerDay: optional("integer"),
      maxOutputTokens: optional("integer"),
      equal: optional("list"),
      text: optional("choice"),
      fromLegacy: optional("function"),
      maxWatched: optional("integer"),
      bodyLimitBytes: optional("integer"),
      answerLimitBytes: optional("integer"),
      random: optional("function"),
    }),
  },
  {
    heading: "`fetchGateway`",
    sources: ["packages/gateway/src/fetch-gateway.ts"],
    // The rest is as above.
    options: all<Omit<FetchOptions, Exclude<keyof ExpressOptions, "legacy">>>({
      legacy: optional("function"),
      waitUntil: optional("function"),
    }),
  },
  {
    heading: "`registerDrain`, `drainGateways`",
    sources: ["packages/next/src/drain-gateways.ts"],
    options: all<DrainOptions>({ deadlineMs: optional("ms") }),
  },
];

/** Never where a part takes more, or less, than so many. */
type Takes<
  Count extends number,
  Make extends (...given: never) => unknown,
> = Parameters<Make>["length"] extends Count ? string : never;

/** Never where the two have other names. */
type Alike<One, Other> = [keyof One, keyof Other] extends [keyof Other, keyof One] ? string : never;

type PagesOptions = PagesChatGatewayOptions<unknown, Value, Value, Value>;
type AppOptions = NextChatGatewayOptions<unknown, Value, Value, Value>;

/** Parts without a table of their own, and what the page says of them. */
export const partsInWords: {
  readonly countResponses: Takes<1, typeof countResponses>;
  readonly pagesChatGateway: Alike<PagesOptions, ExpressOptions>;
  readonly chatGateway: Alike<AppOptions, FetchOptions>;
  readonly shared: Takes<2, typeof shared>;
} = {
  countResponses: "`countResponses(guard)` has no options",
  pagesChatGateway: "`pagesChatGateway` takes the options of [`chatGateway`](#chatgateway)",
  chatGateway: "takes the same options, or a function that gives them",
  shared: "`shared(name, make)` gives one value for the whole process",
};
