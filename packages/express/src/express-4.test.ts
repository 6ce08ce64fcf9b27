import { chatInputSchema } from "@sluice/gateway";
import type { Express, RequestHandler } from "express";
import express4 from "express-4";
import request from "supertest";
import { describe, expect, it, vi } from "vitest";
import {
  ask,
  asks,
  chatApp,
  chatGuard,
  jsonAsk,
  on,
  shadowed,
  type ChatSetting,
} from "./chat-for-tests.ts";
import { guardRoute } from "./guard-route.ts";

/** What is used of an application is the same in both. */
const host = express4 as unknown as () => Express;
const onFour = (setting: ChatSetting = {}): ChatSetting => ({ ...setting, host });
const parser = express4.json() as unknown as RequestHandler;

const subject = () => Promise.reject(new Error("of the application"));
const legacy: RequestHandler = (req, res, next) =>
  parser(req, res, (error) => (error ? next(error) : void res.json(req.body)));

describe("on Express 4", () => {
  it.each(Object.entries(asks))("the gateway answers in %s", async (_, asked) => {
    const { app } = chatApp(onFour());
    const response = await ask(app, asked).expect(200);
    expect(response.headers["sluice-path"]).toBe("ai");
    expect(response.text).toContain("good");
    expect(response.text).toMatch(asked.ends);
  });

  it.each<[string, boolean]>([
    ["reads the body itself", false],
    ["stands behind a parser", true],
  ])("the gateway that %s hands it to the legacy handler again", async (_, parses) => {
    const before = parses ? [parser] : [];
    const { app } = chatApp(onFour({ enabled: false }), { legacy }, before);
    expect((await ask(app, jsonAsk)).body).toEqual(jsonAsk.body);
  });

  it.each([{}, shadowed])("the legacy handler answers alone: %o", async (switches) => {
    const { app, gateway, samples } = chatApp(onFour({ switches }), { legacy });
    const response = await ask(app, jsonAsk).expect(200);
    expect(response.body).toEqual(jsonAsk.body);
    expect(Object.keys(response.headers).filter((name) => name.startsWith("sluice"))).toEqual([]);
    const checks = () => samples.filter(({ kind }) => kind === "check").length;
    await vi.waitFor(() => {
      expect(gateway.shadow.watched).toBe(0);
      expect(checks()).toBe(switches === shadowed ? 1 : 0);
    });
  });

  it("what a function of the application throws goes to its error handler", async () => {
    const { app } = chatApp(onFour({ switches: on }), { subject });
    expect((await ask(app, jsonAsk).expect(500)).body).toEqual({ seen: "of the application" });
  });

  it("a guarded route answers too", async () => {
    const { guard } = chatGuard();
    const app = host();
    app.post("/api", guardRoute(guard, { subject: () => "ann", input: chatInputSchema }));
    const response = await request(app).post("/api").send(jsonAsk.body).expect(200);
    expect(response.body).toMatchObject({ status: "OK", reply: "a good answer" });
    await request(app).post("/api").send({ messages: [] }).expect(400);
  });
});
