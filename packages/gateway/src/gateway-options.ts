import { functionSchema, parseOptions, type Clock, type Outcome } from "@sluice/contract";
import { rateLimitHeaderSets, type Guard, type RateLimitHeaders } from "@sluice/guard";
import { z } from "zod";
import { chatInputSchema, type ChatInput } from "./chat-input.ts";
import { protocolNames, type ProtocolName } from "./protocol.ts";
import { shadowSchema, type ShadowSettings } from "./shadow-options.ts";

/** What a chat gateway is made of, whatever its host. */
export type GatewayOptions<In, Ok, Failed, Stub> = BaseOptions<In, Ok, Failed, Stub> &
  (ChatInput extends In ? { readonly input?: z.ZodType<In> } : { readonly input: z.ZodType<In> });

interface BaseOptions<In, Ok, Failed, Stub> {
  readonly guard: Guard<In, Ok, Failed, Stub>;
  /** What a body's messages, or with JSON the body, must be. Default: {@link chatInputSchema}. */
  readonly input?: z.ZodType<In>;
  /** One wire format, or `negotiated` by the body. Default `negotiated`. */
  readonly protocol?: ProtocolName | "negotiated";
  /**
   * Tells front ends who answered: a `meta` field in JSON, message metadata in the UI stream, and headers.
   * Default false.
   */
  readonly meta?: boolean;
  /** `sluice-path`, `sluice-decision` and those of the next option. Default true. */
  readonly headers?: boolean;
  /** `ratelimit-policy` and `ratelimit`: of the subject's own limits, of "all" or "off". Default "subject". */
  readonly rateLimitHeaders?: RateLimitHeaders;
  /** Default 1 MiB. */
  readonly bodyLimitBytes?: number;
  /** What runs beside the legacy handler in the stage `shadow`. Default: the checks alone. */
  readonly shadow?: ShadowSettings<Ok>;
  /** Sees each outcome of the gateway; what it throws is ignored. */
  readonly onOutcome?: (outcome: Outcome<Ok, Failed, Stub | undefined>) => void;
  /** Default: the machine's. */
  readonly clock?: Clock;
}

const methods = ["stream", "run", "switches", "shadow"] as const;

/** For hosts, which add options of their own. */
export const gatewayOptionsShape = {
  guard: z.custom<object>(
    (value) =>
      typeof value === "object" &&
      value !== null &&
      methods.every((name) => typeof (value as Record<string, unknown>)[name] === "function"),
    { error: "what createGuard returns" },
  ),
  input: z
    .custom<z.ZodType>((value) => value instanceof z.ZodType, { error: "a zod schema" })
    .default(() => chatInputSchema),
  protocol: z.enum([...protocolNames, "negotiated"]).default("negotiated"),
  meta: z.boolean().default(false),
  headers: z.boolean().default(true),
  rateLimitHeaders: z.enum(rateLimitHeaderSets).default("subject"),
  bodyLimitBytes: z
    .int()
    .min(1)
    .default(1024 * 1024),
  shadow: shadowSchema,
  onOutcome: functionSchema.optional(),
  clock: z.custom<Clock>().optional(),
};

/** Without what a host adds. */
export function gatewayOptionsOf<In, Ok, Failed, Stub>(
  options: GatewayOptions<In, Ok, Failed, Stub>,
): GatewayOptions<In, Ok, Failed, Stub> {
  const own = Object.entries(options).filter(([name]) => Object.hasOwn(gatewayOptionsShape, name));
  // What TypeScript can't follow: some members of an intersection with a condition.
  return Object.fromEntries(own) as unknown as GatewayOptions<In, Ok, Failed, Stub>;
}

const optionsSchema = z.strictObject(gatewayOptionsShape);

/** @throws ConfigError */
export const parseGatewayOptions = (options: unknown): z.output<typeof optionsSchema> =>
  parseOptions("chatGateway", optionsSchema, options);
