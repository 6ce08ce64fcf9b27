// Run as a program: the page's application, with a database that prints what it is to write.
import type { AddressInfo } from "node:net";
import express from "express";
import { wire } from "./metrics-in-sql.ts";

const server = wire({
  db: {
    query(_text, parameters = []) {
      process.stdout.write(`${JSON.stringify(parameters)}\n`);
      return Promise.resolve({ rows: [], affected: 0 });
    },
  },
  app: express(),
  authenticate: (req, res, next) => {
    if (req.headers.authorization === undefined) res.sendStatus(401);
    else next();
  },
  subject: (req) => String(req.headers.authorization),
  port: 0,
});
server.once("listening", () => {
  process.stdout.write(`listening on ${String((server.address() as AddressInfo).port)}\n`);
});
