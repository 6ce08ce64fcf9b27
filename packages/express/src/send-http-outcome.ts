import type { HttpOutcome, Problem } from "@sluice/guard";
import type { Response } from "express";

/** Answers, unless the client is gone or somebody has answered already. */
export function sendHttpOutcome(res: Response, http: HttpOutcome): void {
  if (res.destroyed || res.headersSent) return;
  res.status(http.status).set(http.headers).type(http.contentType).send(JSON.stringify(http.body));
}

/** Answers with problem details. Source: RFC 9457. */
export function sendProblem(res: Response, problem: Problem): void {
  const { status } = problem;
  sendHttpOutcome(res, {
    status,
    headers: {},
    contentType: "application/problem+json",
    body: problem,
  });
}
