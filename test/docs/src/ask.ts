import type { Express } from "express";
import request from "supertest";

/** An answer without the `any` of the library that fetched it. */
export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
  readonly text: string;
}

export async function ask(app: Express, path: string, body: object): Promise<Answer> {
  return request(app).post(path).send(body);
}

export async function fetchText(app: Express, path: string): Promise<string> {
  return (await request(app).get(path)).text;
}
