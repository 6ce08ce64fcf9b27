import { once } from "node:events";
import { connect } from "node:net";
import { expect, it } from "vitest";
import { memoryAdmission } from "@sluice/guard";
import { chatApp, chatBody, chatProvider, listening, shadowed } from "./chat-for-tests.ts";
import { delta, textReply } from "@sluice/testkit";

const show = (name: string, ...v: unknown[]) => process.stderr.write(`${name}: ${v.map((x) => typeof x === "string" ? x : JSON.stringify(x)).join(" ").slice(0, 900)}\n`);
const sleep = (ms: number) => new Promise((r) => setTimeout(r, ms));
const bad: string[] = [];
process.on("unhandledRejection", (e) => bad.push(`unhandled ${String(e)}`));
process.on("uncaughtException", (e) => bad.push(`uncaught ${String(e)}`));
process.on("warning", (w) => bad.push(`warning ${w.name} ${w.message}`));

const slow = () => chatProvider((call) => {
  if (!call.streams) { setTimeout(() => call.reply(textReply("a good answer", {inputTokens: 1, outputTokens: 1})), Math.random() * 40); return; }
  let n = 0;
  const t = setInterval(() => { n += 1; call.emit(delta("x".repeat(Math.random() < 0.1 ? 100_000 : 10))); if (n > 10) { clearInterval(t); call.emit({ type: "finish" }); } }, 5);
});

const client = async (port: number) => {
  const s = connect(port, "127.0.0.1");
  s.on("error", () => undefined);
  const kind = Math.random();
  const accept = Math.random() < 0.5 ? "text/event-stream" : "application/json";
  let pad = Math.random() < 0.2 ? "y".repeat(150_000) : "";
  const body = Math.random() < 0.3 ? JSON.stringify({ id: "c", trigger: "submit-message", messages: [{ id: "1", role: "user", parts: [{ type: "text", text: `hi${pad}` }] }] }) : chatBody.replace("hello", `hello${pad}`);
  const text = `POST /api/chat HTTP/1.1\r\nhost: a\r\naccept: ${accept}\r\n${Math.random() < 0.5 ? "connection: close\r\n" : ""}content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  if (kind < 0.25) { s.write(text.slice(0, Math.floor(Math.random() * text.length))); await sleep(Math.random() * 50); s.destroy(); return; }
  s.write(text);
  if (kind < 0.5) { await sleep(Math.random() * 60); s.destroy(); return; }
  if (kind < 0.6) { s.pause(); await sleep(300); s.destroy(); return; }
  s.resume();
  if (kind < 0.7) { await sleep(20); s.end(); await sleep(200); s.destroy(); return; }
  await Promise.race([once(s, "close").catch(() => undefined), sleep(400)]);
  s.destroy();
};

for (const stage of ["auth", "authdivert", "shadow"]) {
  it(`storm ${stage}`, async () => {
    const half = (req: any, res: any) => {
      const r = Math.random();
      if (r < 0.3) { res.json({ reply: "legacy" }); return; }
      if (r < 0.5) { req.once("data", () => { req.pause(); res.end("half"); }); return; }
      if (r < 0.6) { req.destroy(); return; }
      if (r < 0.7) { req.resume(); req.on("end", () => res.end("all")); return; }
      if (r < 0.8) { throw new Error("x"); }
      res.write("a"); setTimeout(() => { res.write("b"); res.end(); }, 20);
    };
    const mine = slow(); const admission = memoryAdmission({ userInFlight: { limit: 50 }, globalInFlight: { limit: 100 } });
    const { app, guard, gateway, samples, provider } = chatApp(
      { provider: mine, enabled: stage !== "authdivert", admission, ...(stage === "shadow" ? { switches: shadowed } : {}) },
      { legacy: half, subject: () => { const r = Math.random(); if (r < 0.05) throw new Error("s"); if (r < 0.3) return sleep(Math.random() * 40).then(() => "ann"); return "ann"; },
        ...(stage === "shadow" ? { shadow: { mirrorShare: 0.5, costNanoUsdPerDay: 1e12, maxOutputTokens: 50, answerLimitBytes: 1000 } } : {}) });
    const port = await listening(app);
    let on = true;
    const killer = (async () => { while (on) { await sleep(50); guard.kill(); await sleep(5); guard.restore(); } })();
    for (let round = 0; round < 4; round += 1) await Promise.all(Array.from({ length: 150 }, () => client(port)));
    const drained = gateway.drain({ deadlineMs: 100 });
    await Promise.all(Array.from({ length: 50 }, () => client(port)));
    await drained;
    on = false; await killer;
    await sleep(1500);
    { const t: Record<string, number> = {}; for (const x of samples as any[]) { const k = [x.kind, x.arm, x.outcome, x.reason, x.code, x.status].join(); t[k] = (t[k] ?? 0) + 1; } show("tally", t); } show(stage, mine.calls.length, guard.inFlight, gateway.active, gateway.shadow.watched, gateway.shadow.mirrors, gateway.shadow.skipped, provider.calls.length, [...new Set(bad)]);
  }, 60000);
}
