import { functionSchema, parseOptions, type Attributes, type Outcome } from "@sluice/contract";
import { clientSignal, countResponse, ownHeaders } from "@sluice/gateway/node";
import {
  observe,
  rateLimitHeaderSets,
  readInput,
  toHttpOutcome,
  type Guard,
  type GuardRequest,
  type RateLimitHeaders,
} from "@sluice/guard";
import type { Request, RequestHandler, Response } from "express";
import { z } from "zod";
import { jsonBodyReader } from "./read-json-body.ts";
import { sendHttpOutcome, sendProblem } from "./send-http-outcome.ts";
import { sendStream } from "./send-stream.ts";

export interface GuardRouteOptions<In, Ok, Failed, Stub> {
  /** Whom eligibility is decided for: from the application's own authentication, not from a client header. */
  readonly subject: (req: Request) => string;
  /** What the body must be. */
  readonly input: z.ZodType<In>;
  readonly attributes?: (req: Request, input: In) => Attributes;
  readonly run?: (req: Request, input: In) => string | undefined;
  /** The provider asked for; obeyed only by a route with the strategy `requested`. */
  readonly provider?: (req: Request, input: In) => string | undefined;
  /** The application's own id of the request, for records. */
  readonly requestId?: (req: Request) => string | undefined;
  /** Default 100 KiB. An earlier body parser's own limit comes first. */
  readonly bodyLimitBytes?: number;
  /**
   * A client that asks for `text/event-stream` gets the answer as it flows, as server-sent events. Default
   * false.
   */
  readonly stream?: boolean;
  /** `sluice-path`, `sluice-decision` and those of the next option. Default true. */
  readonly headers?: boolean;
  /**
   * `ratelimit-policy` and `ratelimit`: of the subject's own limits, of "all" or "off". Limits that all
   * subjects share tell how much capacity there is. Default "subject".
   */
  readonly rateLimitHeaders?: RateLimitHeaders;
  /** Sees each outcome; what it throws is ignored. */
  readonly onOutcome?: (outcome: Outcome<Ok, Failed, Stub>, req: Request) => void;
}

const optionsSchema = z.strictObject({
  subject: functionSchema,
  input: z.custom<object>((value) => value instanceof z.ZodType, { error: "a zod schema" }),
  attributes: functionSchema.optional(),
  run: functionSchema.optional(),
  provider: functionSchema.optional(),
  requestId: functionSchema.optional(),
  bodyLimitBytes: z
    .int()
    .min(1)
    .default(100 * 1024),
  stream: z.boolean().default(false),
  headers: z.boolean().default(true),
  rateLimitHeaders: z.enum(rateLimitHeaderSets).default("subject"),
  onOutcome: functionSchema.optional(),
});

/**
 * A route behind a guard. A body that is not JSON, too large or not of the expected form is answered
 * with problem details that hold no value of it; a client that goes away aborts the upstream call.
 * @throws ConfigError
 */
export function guardRoute<In, Ok, Failed, Stub>(
  guard: Guard<In, Ok, Failed, Stub>,
  options: GuardRouteOptions<In, Ok, Failed, Stub>,
): RequestHandler {
  const parsedOptions = parseOptions("guardRoute", optionsSchema, options);
  const { bodyLimitBytes, headers } = parsedOptions;
  const told = headers ? parsedOptions.rateLimitHeaders : "off";
  const readBody = jsonBodyReader(bodyLimitBytes);

  const answer = async (req: Request, res: Response): Promise<void> => {
    const counted = countResponse(guard, res);
    const reading = await readBody(req, res);
    if (reading.kind === "gone") return;
    if (reading.kind === "problem") {
      sendProblem(res, reading.problem);
      return;
    }
    const parsed = readInput(options.input, reading.body);
    if ("problem" in parsed) {
      sendProblem(res, parsed.problem);
      return;
    }
    const { input } = parsed;
    const request: GuardRequest = {
      subject: options.subject(req),
      attributes: options.attributes?.(req, input),
      run: options.run?.(req, input),
      provider: options.provider?.(req, input),
      requestId: options.requestId?.(req),
      signal: clientSignal(res),
    };
    if (parsedOptions.stream) {
      // Two answers for one address: what is cached of one must not be given for the other.
      res.vary("Accept");
      if (req.accepts(["application/json", "text/event-stream"]) === "text/event-stream") {
        const stream = guard.stream(input, request);
        if (counted !== undefined) counted.outcome = stream.outcome;
        // Known before the client has taken the last of it, or has not.
        void stream.outcome.then(
          (ended) => observe(options.onOutcome, ended, req),
          () => undefined,
        );
        // Once content flows it is the model's.
        await sendStream(res, stream, told, ({ decision, outcome: ended }) =>
          headers ? ownHeaders(decision, ended?.path ?? "ai") : {},
        );
        return;
      }
    }
    const running = guard.run(input, request);
    if (counted !== undefined) counted.outcome = running;
    const outcome = await running;
    observe(options.onOutcome, outcome, req);
    const http = toHttpOutcome(outcome, told);
    const own = headers ? ownHeaders(outcome.decision, outcome.path) : {};
    sendHttpOutcome(res, { ...http, headers: { ...http.headers, ...own } });
  };

  // Only the application's own `subject`, `attributes` and `run` can throw; Express takes the rejection.
  return answer;
}
