import { chmod, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { switchNames } from "@sluice/contract";
import request from "supertest";
import { describe, expect, it, onTestFinished } from "vitest";
import { createApp } from "./create-app.ts";
import { on, openApp, stateOf, untilState } from "./open-app-for-tests.ts";

describe("the switches on the page", () => {
  it.each(switchNames)("turn %s on and off where it stands, and it is obeyed", async (name) => {
    const { app, flagsFile } = await openApp({ flags: "# mine\nCHAT_AI_KILL=false\n" });
    expect(await stateOf(app)).toMatchObject({ switches: { writable: true } });
    await request(app)
      .post(`/api/switches/${name}/on`)
      .expect(200, { [name]: true });
    expect(await readFile(flagsFile, "utf8")).toBe(`# mine\nCHAT_AI_KILL=false\n${name}=true\n`);
    await untilState(app, { switches: { values: { [name]: true } } });
    await request(app)
      .post(`/api/switches/${name}/off`)
      .expect(200, { [name]: false });
    await untilState(app, { switches: { values: { [name]: false } } });
  });

  it.each(["CHAT_AI_KILL/on", "FEATURE_CHAT_AI/on", "toString/on", "FF_ADMISSION_ENFORCE/yes"])(
    "are these, and %s is none",
    async (path) => {
      const { app, flagsFile } = await openApp({ flags: on });
      await request(app).post(`/api/switches/${path}`).expect(404);
      expect(await readFile(flagsFile, "utf8")).toBe(on);
    },
  );

  it.each([
    ["another site's page", { "sec-fetch-site": "cross-site" }],
    ["a page of another origin", { origin: "https://evil.example" }],
    ["a name that leads here", { host: "evil.example", origin: "http://evil.example" }],
    ["a machine of the same name", { host: "localhost.evil.example" }],
  ])("are not flipped by %s", async (_, headers) => {
    const { app, flagsFile } = await openApp({ flags: on });
    await request(app).post("/api/switches/FF_ADMISSION_ENFORCE/on").set(headers).expect(403);
    expect(await readFile(flagsFile, "utf8")).toBe(on);
  });

  it.each(["localhost:3000", "127.0.0.1", "[::1]:3000"])("are flipped at %s", async (host) => {
    const { app } = await openApp({ flags: on });
    const flip = request(app).post("/api/switches/FF_ADMISSION_ENFORCE/on").set("host", host);
    expect((await flip.set("origin", `http://${host}`)).status).toBe(200);
  });

  it("can only be looked at where they stand in no file", async () => {
    const { parts } = await openApp({ flags: on });
    const switchesOrigin = "the environment of this process";
    const { app } = createApp({ ...parts, flagsFile: undefined, switchesOrigin });
    expect(await stateOf(app)).toMatchObject({
      switches: { writable: false, origin: switchesOrigin },
    });
    await request(app).post("/api/switches/FF_ADMISSION_ENFORCE/on").expect(409);
  });

  // Nothing is closed to root.
  it.skipIf(process.getuid?.() === 0)("say so where the file can't be written", async () => {
    const { app, flagsFile } = await openApp({ flags: on });
    const folder = dirname(flagsFile);
    await chmod(folder, 0o555);
    onTestFinished(() => chmod(folder, 0o755));
    expect(await stateOf(app)).toMatchObject({ switches: { writable: false } });
    await request(app).post("/api/switches/FF_ADMISSION_ENFORCE/on").expect(500);
    expect(await readFile(flagsFile, "utf8")).toBe(on);
  });
});
