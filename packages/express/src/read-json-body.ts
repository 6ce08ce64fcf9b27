import express, { type Request, type Response } from "express";
import type { Problem } from "@sluice/guard";

export type BodyReading =
  | { readonly kind: "body"; readonly body: unknown }
  | { readonly kind: "problem"; readonly problem: Problem }
  /** The client went away while sending. */
  | { readonly kind: "gone" };

/** Rejects for what is the application's own fault, such as a body that something read away before. */
export type ReadJsonBody = (req: Request, res: Response) => Promise<BodyReading>;

const jsonTypes = ["application/json", "application/*+json"];

/** Reads a JSON body, or takes the one that an earlier body parser has read. */
export function jsonBodyReader(limitBytes: number): ReadJsonBody {
  const parse = express.json({ limit: limitBytes, type: jsonTypes, strict: true });
  return (req, res) => {
    const read: unknown = req.body;
    if (read !== undefined) {
      // A form that another parser read is refused too: a browser sends one across sites unasked.
      const json = req.is(jsonTypes) !== false;
      return Promise.resolve(json ? { kind: "body", body: read } : refused(415, wrongType));
    }
    const { promise, resolve, reject } = Promise.withResolvers<BodyReading>();
    parse(req, res, (error: unknown) => {
      if (isOurs(error)) reject(error);
      else if (error !== undefined) resolve(toReading(error));
      // The parser leaves a body of another type unread without a word.
      else if (req.body === undefined && req.is(jsonTypes) === false) {
        resolve(refused(415, wrongType));
      } else resolve({ kind: "body", body: req.body });
    });
    return promise;
  };
}

const wrongType = "The request body must be application/json";

function refused(status: number, title: string): BodyReading {
  return { kind: "problem", problem: { type: "about:blank", title, status } };
}

function isOurs(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  const { status } = error as { readonly status?: unknown };
  return typeof status === "number" && status >= 500;
}

/** body-parser's error types. Source: https://github.com/expressjs/body-parser#errors */
function toReading(error: unknown): BodyReading {
  const { type } = error as { readonly type?: unknown };
  switch (type) {
    case "entity.too.large":
      return refused(413, "The request body is too large");
    case "encoding.unsupported":
    case "charset.unsupported":
      return refused(415, "The request body's encoding is not supported");
    case "request.aborted":
      return { kind: "gone" };
    default:
      return refused(400, "The request body is not JSON");
  }
}
