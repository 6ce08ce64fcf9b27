import { createHmac, randomBytes, randomUUID, timingSafeEqual } from "node:crypto";
import { shared } from "@sluice/next";

const pattern = /^([0-9a-f-]{36})\.([0-9a-f]{64})$/;

export interface Visitors {
  /** A new visitor's cookie. */
  greet(): string;
  /** The id in a cookie of ours. */
  idOf(cookie: string | undefined): string | undefined;
}

export const visitorCookie = "visitor";

/**
 * Stands for an application's sign-in. The id is signed, because who could choose a subject could choose
 * a bucket of the rollout.
 */
export const visitors = (): Visitors => shared("visitors", () => createVisitors(randomBytes(32)));

export function createVisitors(secret: Buffer): Visitors {
  const sign = (id: string): string => createHmac("sha256", secret).update(id).digest("hex");
  return {
    greet() {
      const id = randomUUID();
      return `${id}.${sign(id)}`;
    },
    idOf(cookie = "") {
      const [, id, signature] = pattern.exec(cookie) ?? [];
      if (id === undefined || signature === undefined) return undefined;
      return timingSafeEqual(Buffer.from(signature), Buffer.from(sign(id))) ? id : undefined;
    },
  };
}
