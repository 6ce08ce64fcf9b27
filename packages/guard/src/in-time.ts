import type { Clock } from "@sluice/contract";

/** A remote store has a shorter deadline of its own; this one is for a store that forgets to answer. */
const answerMs = 2000;

/**
 * The answer of a store, or `late` where there is none within two seconds. What comes after that is given
 * to `giveBack`, which undoes it.
 * @throws what the answer is rejected with in time
 */
export async function inTime<Reply>(
  reply: Promise<Reply>,
  clock: Clock,
  giveBack: (reply: Reply) => void,
): Promise<Reply | "late"> {
  const { promise: tooLate, resolve } = Promise.withResolvers<"late">();
  const cancel = clock.after(answerMs, () => resolve("late"));
  try {
    const first = await Promise.race([reply, tooLate]);
    if (first === "late") {
      // Its failure was given up with it.
      reply.then(giveBack).catch(() => undefined);
    }
    return first;
  } finally {
    cancel();
  }
}
