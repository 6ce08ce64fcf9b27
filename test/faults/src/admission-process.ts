// A process that shares admission in Redis with others. It prints `port <n>` and does what it is asked by
// HTTP, with a JSON answer: `/acquire?count=` holds what it is given, `/release` gives it all back,
// `/call?count=` asks for calls of 16 tokens each and leaves them running.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { AdmissionAsk } from "@sluice/contract";
import type { RedisAdmissionOptions } from "@sluice/redis";
import { isAdmitted, startMember } from "./redis-member.ts";

const [url = "", options = "{}"] = process.argv.slice(2);
const member = startMember(url, JSON.parse(options) as Partial<RedisAdmissionOptions>);
const { store } = member;
const held = new Set<{ release(): void; renew(): void }>();
// As a guard does for what is in flight.
setInterval(() => {
  for (const one of held) one.renew();
}, 50);

const call: AdmissionAsk = {
  budget: { inputTokens: 8, outputTokens: 8, minOutputTokens: 8, price: undefined },
};

async function acquire(count: number, ask?: AdmissionAsk): Promise<object> {
  const replies = await Promise.all(
    Array.from({ length: count }, async (_, index) => store.acquire(`user-${index}`, ask)),
  );
  for (const reply of replies) {
    if (!isAdmitted(reply)) continue;
    const { lease, reservation } = reply;
    held.add({
      renew: () => lease.renew(),
      release() {
        lease.release();
        reservation?.void();
      },
    });
  }
  return {
    admitted: replies.filter(isAdmitted).length,
    unavailable: replies.filter((reply) => reply === "unavailable").length,
  };
}

async function obey({ pathname, searchParams }: URL): Promise<object> {
  const count = Number(searchParams.get("count"));
  if (pathname === "/acquire") return acquire(count);
  if (pathname === "/call") return acquire(count, call);
  for (const one of held) one.release();
  held.clear();
  await store.flush();
  return {};
}

const server = createServer((request, response) => {
  void obey(new URL(request.url ?? "/", "http://localhost")).then((answer) =>
    response.end(JSON.stringify(answer)),
  );
});
await member.ready();
server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`port ${(server.address() as AddressInfo).port}\n`);
});
