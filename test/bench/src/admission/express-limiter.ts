import { rateLimit } from "express-rate-limit";
import type { Request, Response } from "express";
import type { Redis } from "ioredis";
import { RedisStore, type RedisReply } from "rate-limit-redis";

/** The middleware without a server: what it reads of a request and what it calls of a response. */
export function expressLimiter(
  client: Redis,
  prefix: string,
): (subject: string) => Promise<unknown> {
  const middleware = rateLimit({
    windowMs: 60_000,
    limit: 1_000_000_000,
    legacyHeaders: false,
    validate: false,
    keyGenerator: ({ ip }) => String(ip),
    store: new RedisStore({
      prefix,
      sendCommand: (command, ...args) => client.call(command, ...args) as Promise<RedisReply>,
    }),
  });
  const response = {
    headersSent: false,
    setHeader: () => response,
    on: () => response,
  } as unknown as Response;
  return (subject) =>
    new Promise((resolve, reject) => {
      const request = { ip: subject } as unknown as Request;
      const next = (error?: unknown): void => {
        if (error === undefined) resolve(undefined);
        else reject(new Error("bench: the limiter failed", { cause: error }));
      };
      void middleware(request, response, next);
    });
}
