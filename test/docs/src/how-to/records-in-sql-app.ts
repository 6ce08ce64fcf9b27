// Run as a program: the page's application, on a database or, without one, on none that answers.
import type { AddressInfo } from "node:net";
import { postgres } from "@sluice/sql";
import express from "express";
import { wire } from "./records-in-sql.ts";

const connectionString = process.env["DATABASE_URL"];
const gone = () => Promise.reject(Object.assign(new Error("gone"), { code: "ECONNREFUSED" }));
const app = express();
const { server, guard } = wire({
  db: connectionString === undefined ? { query: gone } : postgres({ connectionString }),
  app,
  subject: (req) => String(req.headers.authorization),
  port: 0,
});
app.post("/kill", (_req, res) => {
  guard.kill();
  res.sendStatus(204);
});
server.once("listening", () => {
  process.stdout.write(`listening on ${String((server.address() as AddressInfo).port)}\n`);
});
