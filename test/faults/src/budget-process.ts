// A process whose calls share a budget in Redis. It prints `port <n>`, then `began` for each call that may run and
// `used <tokens>` for each that ended. `/run?count=&seed=&spreadMs=&lastsMs=&least=` makes calls of 16 tokens, and
// answers with those once all have ended.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as after } from "node:timers/promises";
import type { BudgetAsk } from "@sluice/contract";
import type { RedisAdmissionOptions } from "@sluice/redis";
import { seededRandom } from "@sluice/testkit";
import { isAdmitted, startMember } from "./redis-member.ts";

const [url = "", options = "{}"] = process.argv.slice(2);
const member = startMember(url, JSON.parse(options) as Partial<RedisAdmissionOptions>);
const { store } = member;

const promptTokens = 8;
const budget: BudgetAsk = {
  inputTokens: promptTokens,
  outputTokens: 8,
  minOutputTokens: 8,
  price: undefined,
};
const worstTokens = budget.inputTokens + budget.outputTokens;

interface Run {
  /** What each call that ran has used. */
  readonly used: readonly number[];
  readonly refused: number;
  readonly unavailable: number;
}

async function runAll(asked: URLSearchParams): Promise<Run> {
  const figure = (name: string): number => Number(asked.get(name));
  const random = seededRandom(figure("seed"));
  const used: number[] = [];
  let refused = 0;
  let unavailable = 0;
  const runOne = async (name: string): Promise<void> => {
    const waitMs = random.next() * figure("spreadMs");
    const lastsMs = random.next() * figure("lastsMs");
    const tokens = random.integer(figure("least"), worstTokens);
    // Otherwise all ask in one turn.
    if (waitMs > 0) await after(waitMs);
    const reply = await store.acquire(name, { budget });
    if (!isAdmitted(reply)) {
      if (reply === "unavailable") unavailable += 1;
      else refused += 1;
      return;
    }
    process.stdout.write("began\n");
    await after(lastsMs);
    const inputTokens = Math.min(tokens, promptTokens);
    process.stdout.write(`used ${tokens}\n`);
    reply.reservation?.settle({ inputTokens, outputTokens: tokens - inputTokens });
    reply.lease.release();
    used.push(tokens);
  };
  await Promise.all(Array.from({ length: figure("count") }, (_, index) => runOne(`user-${index}`)));
  await store.flush();
  return { used, refused, unavailable };
}

const server = createServer((request, response) => {
  const { searchParams } = new URL(request.url ?? "/", "http://localhost");
  void runAll(searchParams).then((answer) => response.end(JSON.stringify(answer)));
});
await member.ready();
server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`port ${(server.address() as AddressInfo).port}\n`);
});
