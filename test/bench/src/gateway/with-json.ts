import { promisify } from "node:util";
import express, { type Request, type RequestHandler, type Response } from "express";

/** One handler that reads its JSON itself, as an application mounts it. */
export function withJson(answer: (req: Request, res: Response) => Promise<void>): RequestHandler {
  const read = promisify(express.json());
  return async (req, res) => {
    await read(req, res);
    try {
      await answer(req, res);
    } catch (error) {
      // Whoever left needs no answer.
      if (!res.destroyed) throw error;
    }
  };
}
