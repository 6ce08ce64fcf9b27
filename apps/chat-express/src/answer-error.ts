import { STATUS_CODES } from "node:http";
import type { ErrorRequestHandler } from "express";

/**
 * Answers what a handler threw. Express's own handler prints and, in development, sends the error's
 * message, and that may quote what a client wrote.
 */
export const answerError: ErrorRequestHandler = (error: unknown, _req, res, _next) => {
  const status = statusOf(error);
  if (status >= 500) {
    console.error(`chat-express: a request failed: ${error instanceof Error ? error.name : "?"}`);
  }
  if (res.headersSent) res.destroy();
  else res.status(status).json({ error: STATUS_CODES[status] });
};

function statusOf(error: unknown): number {
  const status = error instanceof Error ? (error as { status?: unknown }).status : undefined;
  return typeof status === "number" && status >= 400 && status < 600 ? status : 500;
}
