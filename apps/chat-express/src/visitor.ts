import { createHmac, randomBytes, randomUUID, timingSafeEqual } from "node:crypto";
import type { Request, RequestHandler } from "express";

const cookie = "visitor";
const pattern = /(?:^|;\s*)visitor=([0-9a-f-]{36})\.([0-9a-f]{64})(?:;|$)/;

export interface Visitors {
  /** Gives a browser that has none an identity. */
  readonly greet: RequestHandler;
  /** The visitor's id; a caller without a valid one is a new visitor each time. */
  readonly subjectOf: (req: Request) => string;
}

/**
 * Stands for an application's sign-in. The id is signed, because who could choose a subject could choose
 * a bucket of the rollout.
 */
export function visitors(secret: Buffer = randomBytes(32)): Visitors {
  const sign = (id: string): string => createHmac("sha256", secret).update(id).digest("hex");
  const read = (req: Request): string | undefined => {
    const [, id, signature] = pattern.exec(req.get("cookie") ?? "") ?? [];
    if (id === undefined || signature === undefined) return undefined;
    return timingSafeEqual(Buffer.from(signature), Buffer.from(sign(id))) ? id : undefined;
  };
  return {
    greet(req, res, next) {
      if (read(req) === undefined) {
        const id = randomUUID();
        res.cookie(cookie, `${id}.${sign(id)}`, { httpOnly: true, sameSite: "strict" });
      }
      next();
    },
    subjectOf: (req) => read(req) ?? randomUUID(),
  };
}
