import { Agent, request } from "node:http";
import { setTimeout } from "node:timers/promises";
import { streamBody, type Question } from "./question.ts";
import { createUiPieces } from "./ui-pieces.ts";

export interface ChatEndings {
  /** All of the text, and the end of a UI message stream. */
  whole: number;
  /** Left by the client, at a byte of its own choice. */
  vanished: number;
  /** Whatever else. */
  amiss: number;
}

const vanishingShare = 0.1;
const stepMs = 20;

export interface Crowd {
  readonly count: number;
  readonly question: Question;
  readonly rampMs: number;
}

/**
 * So many chats at once, each on a socket of its own, of which a tenth vanish.
 * @param onFull is awaited once each has half of its answer or was left by its client
 */
export async function runChats(
  port: number,
  { count, question, rampMs }: Crowd,
  random: () => number,
  onFull: () => Promise<void>,
): Promise<ChatEndings> {
  const agent = new Agent({ keepAlive: false, maxSockets: Number.POSITIVE_INFINITY });
  const endings: ChatEndings = { whole: 0, vanished: 0, amiss: 0 };
  const length = await lengthOf(port, agent, question);
  const held: Question = { ...question, holds: true };
  let halves = 0;
  const full = Promise.withResolvers<void>();
  const chat = async (id: number): Promise<void> => {
    const leavesAt = random() < vanishingShare ? Math.floor(random() * length) : undefined;
    let isHalf = false;
    const onHalf = (): void => {
      if (isHalf) return;
      isHalf = true;
      halves += 1;
      if (halves === count) full.resolve();
    };
    const user = `user-${id}`;
    const ending = await read({ port, agent, question: held, user, leavesAt, onHalf });
    onHalf();
    endings[ending] += 1;
  };
  const chats: Promise<void>[] = [];
  const startedMs = performance.now();
  while (chats.length < count) {
    await setTimeout(stepMs);
    const due = Math.min(count, Math.ceil(((performance.now() - startedMs) / rampMs) * count));
    while (chats.length < due) chats.push(chat(chats.length));
  }
  await full.promise;
  await onFull();
  await Promise.all(chats);
  agent.destroy();
  return endings;
}

/** Bytes of a body that nobody leaves. */
async function lengthOf(port: number, agent: Agent, question: Question): Promise<number> {
  let bytes = 0;
  const onPiece = (piece: Buffer): void => {
    bytes += piece.length;
  };
  await read({ port, agent, question: { ...question, gapMs: 1 }, user: "user", onPiece });
  return bytes;
}

function read(chat: {
  readonly port: number;
  readonly agent: Agent;
  readonly question: Question;
  readonly user: string;
  readonly leavesAt?: number | undefined;
  readonly onPiece?: (piece: Buffer) => void;
  readonly onHalf?: () => void;
}): Promise<keyof ChatEndings> {
  const { promise, resolve } = Promise.withResolvers<keyof ChatEndings>();
  const body = streamBody(chat.question);
  const asking = request({
    port: chat.port,
    host: "127.0.0.1",
    agent: chat.agent,
    method: "POST",
    path: "/api",
    headers: {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body),
      "x-user": chat.user,
    },
  });
  let bytes = 0;
  const leaveIfDue = (): void => {
    if (chat.leavesAt === undefined || bytes < chat.leavesAt) return;
    resolve("vanished");
    asking.destroy();
  };
  asking.on("error", () => resolve("amiss"));
  asking.on("finish", leaveIfDue);
  asking.on("response", (res) => {
    let texts = 0;
    const pieces = createUiPieces(() => {
      texts += 1;
      if (texts === chat.question.chunks / 2) chat.onHalf?.();
    });
    res.on("data", (piece: Buffer) => {
      bytes += piece.length;
      pieces.take(piece);
      chat.onPiece?.(piece);
      leaveIfDue();
    });
    res.on("error", () => resolve("amiss"));
    res.on("close", () => {
      const isWhole = res.complete && pieces.isDone && texts === chat.question.chunks;
      resolve(isWhole ? "whole" : "amiss");
    });
  });
  asking.end(body);
  return promise;
}
