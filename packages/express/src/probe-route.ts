import { hash, timingSafeEqual } from "node:crypto";
import { functionSchema, parseOptions } from "@sluice/contract";
import { clientSignal } from "@sluice/gateway/node";
import {
  toInputProblem,
  type Guard,
  type GuardRequest,
  type Outcome,
  type Probe,
} from "@sluice/guard";
import type { Request, RequestHandler, Response } from "express";
import { z } from "zod";
import { jsonBodyReader } from "./read-json-body.ts";
import { sendHttpOutcome, sendProblem } from "./send-http-outcome.ts";

/** One request of the application's kind, for a subject that is made up. */
export interface Sample<In> {
  readonly input: In;
  readonly request?: Omit<GuardRequest, "subject" | "signal">;
}

export interface ProbeRouteOptions<In> {
  /** At least 16 characters; asked for as `Authorization: Bearer …`. */
  readonly token: string;
  /** What a run is made of; without it the route only asks the gates. Give the guard a provider that costs nothing. */
  readonly sample?: (subject: string) => Sample<In>;
  /** Tells this process from others of the fleet, as `sqlInstance` names it. */
  readonly instanceId?: string;
}

const optionsSchema = z.strictObject({
  token: z.string().min(16).max(1024),
  sample: functionSchema.optional(),
  instanceId: z.string().min(1).max(200).optional(),
});

const maxRuns = 100;

const bodySchema = z
  .strictObject({
    subjects: z.array(z.string()).min(1).max(1000),
    run: z.boolean().default(false),
  })
  .refine(({ run, subjects }) => !run || subjects.length <= maxRuns, {
    path: ["subjects"],
    error: `expected at most ${maxRuns} to run`,
  });

/** A thousand subjects of the longest kind that is eligible, escaped. */
const bodyLimitBytes = 8 * 1024 * 1024;

/**
 * What the guard says of subjects, for `sluice verify`: mount it with `app.post`. Without the token it is
 * 401 and nothing else is read. With `run: true` the guard runs once for each subject, at most 100, and
 * tells path and codes, never a value.
 * @throws ConfigError
 */
export function probeRoute<In, Ok, Failed, Stub>(
  guard: Guard<In, Ok, Failed, Stub>,
  options: ProbeRouteOptions<In>,
): RequestHandler {
  const { token, instanceId: instance } = parseOptions("probeRoute", optionsSchema, options);
  const { sample } = options;
  const isPermitted = tokenCheck(token);
  const readBody = jsonBodyReader(bodyLimitBytes);

  const runAll = (
    from: (subject: string) => Sample<In>,
    subjects: readonly string[],
    signal: AbortSignal,
  ) =>
    Promise.all(
      subjects.map(async (subject) => {
        const { input, request } = from(subject);
        return toRun(await guard.run(input, { ...request, subject, signal }));
      }),
    );

  const answer = async (req: Request, res: Response): Promise<void> => {
    res.set("cache-control", "no-store");
    if (!isPermitted(req.get("authorization"))) {
      res.set("www-authenticate", "Bearer");
      sendProblem(res, {
        type: "about:blank",
        title: "The token is missing or wrong",
        status: 401,
      });
      return;
    }
    const reading = await readBody(req, res);
    if (reading.kind === "gone") return;
    if (reading.kind === "problem") {
      sendProblem(res, reading.problem);
      return;
    }
    const parsed = bodySchema.safeParse(reading.body);
    if (!parsed.success) {
      sendProblem(res, toInputProblem(bodySchema, parsed.error));
      return;
    }
    const { subjects, run } = parsed.data;
    if (run && sample === undefined) {
      sendProblem(res, { type: "about:blank", title: "This route runs nothing", status: 400 });
      return;
    }
    const probes = subjects.map((subject) => guard.probe(subject));
    const results =
      run && sample !== undefined
        ? await runAll(sample, subjects, clientSignal(res))
        : probes.map(toResult);
    // All at one moment, so the first speaks for all.
    const { flagVersion = null, percent, closed, without } = probes[0] as Probe;
    sendHttpOutcome(res, {
      status: 200,
      headers: {},
      contentType: "application/json",
      body: {
        feature: guard.feature,
        ...(instance !== undefined && { instance }),
        flagVersion,
        percent,
        closed,
        without,
        runs: sample !== undefined,
        results,
      },
    });
  };

  // Only the application's own `sample` can throw; Express takes the rejection.
  return answer;
}

const toResult = ({ effect, gate, reason }: Probe) => ({ effect, gate, reason });

function toRun(outcome: Outcome<unknown, unknown, unknown>) {
  const { path, status, decision } = outcome;
  const code = status === "FAILED" ? outcome.failure.code : undefined;
  return { path, status, reason: "reason" in outcome ? outcome.reason : decision.reason, code };
}

/** Hashed first, so that neither the time nor the length tells how much of a guess was right. */
function tokenCheck(token: string): (header: string | undefined) => boolean {
  const wanted = hash("sha256", token, "buffer");
  return (header) => {
    const [, given = ""] = /^Bearer +(\S+) *$/i.exec(header ?? "") ?? [];
    return timingSafeEqual(hash("sha256", given, "buffer"), wanted);
  };
}
