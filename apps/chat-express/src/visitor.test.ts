import express from "express";
import request from "supertest";
import { describe, expect, it } from "vitest";
import { visitors } from "./visitor.ts";

function appOf(secret?: Buffer) {
  const { greet, subjectOf } = visitors(secret);
  return express()
    .get("/", greet, (_req, res) => void res.end())
    .get("/who", (req, res) => void res.json(subjectOf(req)));
}

type App = ReturnType<typeof appOf>;

async function cookieOf(app: App): Promise<string> {
  const response = await request(app).get("/");
  return String(response.headers["set-cookie"]?.[0]).split(";")[0] ?? "";
}

const who = async (app: App, cookie: string): Promise<unknown> =>
  (await request(app).get("/who").set("cookie", cookie)).body;

describe("a visitor", () => {
  it("keeps an identity that a page's scripts can't read", async () => {
    const app = appOf();
    const response = await request(app).get("/");
    expect(response.headers["set-cookie"]?.[0]).toMatch(
      /^visitor=[0-9a-f-]{36}\.[0-9a-f]{64}; Path=\/; HttpOnly; SameSite=Strict$/,
    );
    const cookie = await cookieOf(app);
    const id = await who(app, cookie);
    expect(await who(app, cookie)).toBe(id);
    expect(await who(app, `a=b; ${cookie}; c=d`)).toBe(id);
    expect(cookie).toContain(String(id));
  });

  it("without a cookie is a new one each time", async () => {
    const app = appOf();
    expect(await who(app, "")).not.toBe(await who(app, ""));
  });

  it("can't choose an identity", async () => {
    const app = appOf(Buffer.from("one"));
    const cookie = await cookieOf(app);
    const id = await who(app, cookie);
    const [, signature = ""] = cookie.split(".");
    const other = "00000000-0000-4000-8000-000000000000";
    const forged = [
      `visitor=${other}.${signature}`,
      `visitor=${other}.${"0".repeat(64)}`,
      `visitor=${other}.`,
      `visitor=${other}`,
      `visitor=.${signature}`,
      `visitor=${String(id)}.${signature.toUpperCase()}`,
      `visitor=${String(id)}.${signature.slice(1)}0`,
      `visitor=${String(id)}.${signature}0`,
      `xvisitor=${String(id)}.${signature}`,
      await cookieOf(appOf(Buffer.from("another secret"))),
      `visitor=${"a".repeat(100_000 / 10)}.b`,
    ];
    for (const cookieOfTheirs of forged) {
      const theirs = await who(app, cookieOfTheirs);
      expect(theirs, cookieOfTheirs).toMatch(/^[0-9a-f-]{36}$/);
      expect(theirs, cookieOfTheirs).not.toBe(other);
      expect(theirs, cookieOfTheirs).not.toBe(id);
    }
  });
});
