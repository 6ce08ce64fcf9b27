import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { z } from "zod";

const turnSchema = z.object({
  open: z.boolean(),
  atMs: z.number(),
  served: z.int(),
  errors: z.int(),
});

/** When a member's calls took the other path, and what it had done until then. */
export type Turn = z.output<typeof turnSchema>;

export interface Fleet {
  /** Resolves with each member's next turn to this state. */
  all(state: boolean): Promise<readonly Turn[]>;
  stop(): void;
}

export function startFleet(options: {
  readonly url: string;
  readonly size: number;
  readonly listen: boolean;
}): Fleet {
  const module = fileURLToPath(new URL("./member-process.js", import.meta.url));
  const mode = options.listen ? "notify" : "poll";
  // Flags that grow stale and fresh again are warned of in each member, which is what is measured here.
  const execArgv = ["--no-warnings"];
  const members = Array.from({ length: options.size }, () =>
    fork(module, [options.url, mode], { execArgv }),
  );
  return {
    all: (state) => Promise.all(members.map((member) => nextTurn(member, state))),
    stop: () => members.forEach((member) => member.kill()),
  };
}

function nextTurn(member: ChildProcess, state: boolean): Promise<Turn> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void => {
      member.off("message", onMessage);
      reject(new Error(`bench: a process of the fleet ended with ${code}`));
    };
    const onMessage = (message: unknown): void => {
      const turn = turnSchema.parse(message);
      if (turn.open !== state) return;
      member.off("exit", onExit);
      member.off("message", onMessage);
      resolve(turn);
    };
    member.on("message", onMessage);
    member.once("exit", onExit);
  });
}
