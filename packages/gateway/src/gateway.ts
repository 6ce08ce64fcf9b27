import type { Clock, GuardRequest, Outcome, StreamEvent, Switches } from "@sluice/contract";
import {
  isAnswered,
  observe,
  rateLimitFields,
  readInput,
  systemClock,
  toHttpOutcome,
  type Guard,
  type GuardStream,
  type Problem,
} from "@sluice/guard";
import type { z } from "zod";
import { metaHeaders, metaOf, ownHeaders } from "./answer-meta.ts";
import { createDrain, drainProblem } from "./drain.ts";
import { parseGatewayOptions, type GatewayOptions } from "./gateway-options.ts";
import { isGivenUp } from "./is-given-up.ts";
import type { AnswerEncoder, ProtocolContext, WireAnswer } from "./protocol.ts";
import { createReader } from "./reader.ts";
import { createShadow, type Shadow } from "./shadow.ts";
import type { ShadowDefaults } from "./shadow-options.ts";
import { stageOf, type Stage } from "./stage.ts";

/** One request of the stage `authoritative`. */
export interface GatewayCall<In> {
  /** Parsed as JSON. */
  readonly body: unknown;
  /** The request's `Accept`. */
  readonly accept: string | undefined;
  readonly subject: string;
  /** What the guard is told besides the subject and the switches. */
  readonly request: (input: In) => Omit<GuardRequest, "subject" | "switches">;
  /** As they stood when the stage was looked at. */
  readonly switches: Switches;
  /** Whether there is a legacy handler that answers what the gates divert. */
  readonly hasLegacy: boolean;
  /** Resolves once an answer of the gateway's has been sent, as far as the host can tell. Default: at once. */
  readonly sent?: Promise<unknown>;
}

type Headers = Readonly<Record<string, string>>;

/** What a host does for a request of the stage `authoritative`. */
export type GatewayAnswer<Ok, Failed, Stub> =
  /** The legacy handler answers, and gets the body again; with these headers. */
  | {
      readonly kind: "legacy";
      readonly headers: Headers;
      /** Undefined where nothing was decided: the body is none that the gateway takes. */
      readonly outcome: Outcome<Ok, Failed, Stub | undefined> | undefined;
    }
  | {
      readonly kind: "whole";
      readonly answer: WireAnswer;
      readonly outcome: Outcome<Ok, Failed, Stub | undefined> | undefined;
    }
  | {
      readonly kind: "stream";
      readonly headers: Headers;
      /** Read once, no faster than the client takes it; left early, or cancelled, it ends the upstream call. */
      readonly stream: GuardStream<Ok, Failed, Stub | undefined>;
      readonly begin: string;
      readonly encode: (event: StreamEvent<Ok, Failed, Stub | undefined>) => string;
    };

/** The chat gateway but for its host. */
export interface ChatGateway<In, Ok, Failed, Stub> {
  readonly guard: Guard<In, Ok, Failed, Stub>;
  readonly bodyLimitBytes: number;
  /** By the guard's flag source, as it stands. */
  stage(): { readonly name: Stage; readonly switches: Switches };
  /** Decides, and executes. Rejects only for what functions of the application throw. */
  answer(call: GatewayCall<In>): Promise<GatewayAnswer<Ok, Failed, Stub>>;
  /**
   * For a body that could not be read: where the gates would divert, the legacy handler may still like it.
   */
  refuse(
    problem: Problem,
    call: Pick<GatewayCall<In>, "accept" | "subject" | "hasLegacy">,
  ): GatewayAnswer<Ok, Failed, Stub>;
  readonly shadow: Shadow<In>;
  /**
   * For `SIGTERM`: nobody is let in any more (503 with `Retry-After`; the legacy handler goes on in its
   * stages), and the shadow is stopped. Answers under way may end until the deadline, then the feature is
   * shut in this process, which ends each with its terminal event. Resolves once the last has been sent and
   * events have gone to the sinks; where something of the application hangs, five seconds after the deadline.
   * @param options `deadlineMs`: default 30,000
   */
  drain(options?: { readonly deadlineMs?: number }): Promise<void>;
  /** Answers under way, until they have been sent. */
  readonly active: number;
}

const streamHeaders: Headers = {
  "cache-control": "no-store",
  // Proxies that collect answers would make one piece of it. Source: nginx, proxy_buffering
  "x-accel-buffering": "no",
};

/** Whether it is the gateway that has somebody to answer. */
const isOurs = (outcome: Outcome<unknown, unknown, unknown>): boolean =>
  outcome.path !== "legacy" && !isGivenUp(outcome);

/** @throws ConfigError */
export function createChatGateway<In, Ok, Failed, Stub>(
  options: GatewayOptions<In, Ok, Failed, Stub>,
): ChatGateway<In, Ok, Failed, Stub> {
  const parsed = parseGatewayOptions(options);
  const { guard } = options;
  const input = parsed.input as z.ZodType<In>;
  const clock: Clock = options.clock ?? systemClock;
  const context: ProtocolContext = {
    wallMs: () => clock.wallMs(),
    toText: (value) => guard.textOf(value),
  };
  const reader = createReader(parsed.protocol, context);
  const drain = createDrain(clock, () => guard.kill());
  const told = parsed.headers ? parsed.rateLimitHeaders : "off";

  type Answer = GatewayAnswer<Ok, Failed, Stub>;
  type Ended = Outcome<Ok, Failed, Stub | undefined>;

  const headersOf = (outcome: Ended): Headers => {
    const meta = parsed.meta ? metaHeaders(metaOf(outcome)) : {};
    return parsed.headers ? { ...ownHeaders(outcome.decision, outcome.path), ...meta } : meta;
  };
  const metaFor = (outcome: Ended) => (parsed.meta ? metaOf(outcome) : undefined);

  const refused = (
    encoder: AnswerEncoder,
    problem: Problem,
    { subject, hasLegacy }: Pick<GatewayCall<In>, "subject" | "hasLegacy">,
  ): Answer => {
    // What the gateway would not have answered anyway is for the legacy handler to judge.
    const isDiverted = hasLegacy && guard.probe(subject).effect === "divert";
    return isDiverted
      ? { kind: "legacy", headers: {}, outcome: undefined }
      : { kind: "whole", answer: encoder.problem(problem), outcome: undefined };
  };

  const toAnswer = (encoder: AnswerEncoder, outcome: Ended): Answer => {
    const headers = headersOf(outcome);
    if (outcome.path === "legacy") return { kind: "legacy", headers, outcome };
    const answer = encoder.whole(outcome, toHttpOutcome(outcome, told), metaFor(outcome));
    return {
      kind: "whole",
      answer: { ...answer, headers: { ...answer.headers, ...headers } },
      outcome,
    };
  };

  const answer = async (call: GatewayCall<In>): Promise<Answer> => {
    const read = reader.read(call.body, call.accept);
    const { encoder } = read;
    if ("problem" in read) return refused(encoder, read.problem, call);
    const checked = readInput(input, read.input);
    if ("problem" in checked) return refused(encoder, checked.problem, call);
    if (drain.isDraining) {
      const busy = encoder.problem(drainProblem, { "retry-after": "1" });
      return { kind: "whole", answer: busy, outcome: undefined };
    }
    const { subject, switches } = call;
    const request: GuardRequest = { ...call.request(checked.input), subject, switches };
    const of: Guard<In, Ok, Failed, Stub | undefined> = call.hasLegacy ? guard.forLegacy : guard;
    const watch = (ended: Promise<Ended>): void =>
      drain.watch(ended.then((outcome) => (isOurs(outcome) ? call.sent : undefined)));
    if (!read.streams) {
      const running = of.run(checked.input, request);
      watch(running);
      const outcome = await running;
      observe(options.onOutcome, outcome);
      return toAnswer(encoder, outcome);
    }
    const stream = of.stream(checked.input, request);
    watch(stream.outcome);
    void stream.outcome.then(
      (outcome) => observe(options.onOutcome, outcome),
      () => undefined,
    );
    const head = await stream.head;
    const { outcome } = head;
    if (outcome !== undefined && (outcome.path === "legacy" || !isAnswered(outcome))) {
      return toAnswer(encoder, outcome);
    }
    const own = ownHeaders(head.decision, outcome?.path ?? "ai");
    return {
      kind: "stream",
      headers: {
        "content-type": encoder.streamType,
        ...streamHeaders,
        ...encoder.streamHeaders,
        ...rateLimitFields(head.decision.admission, told),
        ...(parsed.headers ? own : {}),
        ...(parsed.meta && outcome !== undefined ? metaHeaders(metaOf(outcome)) : {}),
      },
      stream,
      begin: encoder.begin(head, outcome && metaFor(outcome)),
      encode: (event) =>
        encoder.event(event, "outcome" in event ? metaFor(event.outcome) : undefined),
    };
  };

  const shadow = createShadow({
    guard,
    input,
    reader,
    clock,
    settings: parsed.shadow as ShadowDefaults,
  });

  return {
    guard,
    bodyLimitBytes: parsed.bodyLimitBytes,
    stage() {
      const switches = guard.switches();
      return { name: stageOf(switches), switches };
    },
    answer,
    refuse: (problem, call) => refused(reader.read(undefined, call.accept).encoder, problem, call),
    shadow,
    async drain({ deadlineMs = 30_000 } = {}) {
      shadow.stop();
      await drain.start(deadlineMs);
      guard.flush();
    },
    get active() {
      return drain.active;
    },
  };
}
