import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** Whoever has psql: one session, statements as they would be typed. */
export interface Operator {
  /** Resolves when psql said that the statement is done. */
  run(statement: string): Promise<void>;
  close(): void;
}

export function startOperator(connectionString: string): Operator {
  const psql = spawn(
    "psql",
    ["--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1", "-d", connectionString],
    {
      stdio: ["pipe", "pipe", "inherit"],
    },
  );
  const waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
  createInterface({ input: psql.stdout }).on("line", (line) => {
    if (line === "done") waiting.shift()?.resolve();
  });
  psql.once("exit", (code) => {
    for (const { reject } of waiting.splice(0)) reject(new Error(`bench: psql ended with ${code}`));
  });
  return {
    run(statement) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      waiting.push({ resolve, reject });
      psql.stdin.write(`${statement};\n\\echo done\n`);
      return promise;
    },
    close: () => psql.stdin.end(),
  };
}
