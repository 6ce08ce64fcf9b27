import { fileURLToPath } from "node:url";
import { startProcess, type RunningProcess } from "@sluice/testkit";
import { onTestFinished, vi } from "vitest";
import { z } from "zod";

const program = fileURLToPath(new URL("./database-member.ts", import.meta.url));

const figuresSchema = z.strictObject({
  served: z.int(),
  ai: z.int(),
  unserved: z.int(),
  lastAiAtMs: z.number(),
  oldestAiMs: z.number(),
});

/** `served` calls; `ai` of them by the model; `unserved` neither by it nor by the safe path. */
export type MemberFigures = Readonly<z.output<typeof figuresSchema>>;

/** One process of a fleet whose flags are in a table. */
export interface Member {
  readonly process: RunningProcess;
  /** What it told so far, in order, without the port it listens on. */
  lines(): readonly string[];
  figures(): Promise<MemberFigures>;
  /** Resolves once calls take this path: `ai`, or the reason why not. */
  untilPath(path: string): Promise<void>;
  /** Resolves once it has told this. */
  untilTold(line: object): Promise<void>;
  /** Resolves once it has served so many more calls. */
  untilServed(more: number): Promise<MemberFigures>;
}

export interface MemberLimits {
  readonly maxStalenessMs: number;
  readonly pollMs: number;
}

/** Instead of 5 s and 1 s, so that a test takes no longer than it must. */
export const hasty: MemberLimits = { maxStalenessMs: 1000, pollMs: 200 };

const patiently = { timeout: 15_000, interval: 10 };

/** Runs for the length of one test. */
export async function startMember(
  connectionString: string,
  { maxStalenessMs, pollMs }: MemberLimits,
): Promise<Member> {
  const args = [connectionString, String(maxStalenessMs), String(pollMs)];
  const started = startProcess(program, { args });
  onTestFinished(async () => void (await started.kill()));
  const [, port = ""] = await started.printed(/^\{"port":(\d+)\}$/m);

  const lines = (): readonly string[] =>
    started.stdout.split("\n").filter((line) => line !== "" && !line.startsWith('{"port"'));
  const figures = async (): Promise<MemberFigures> =>
    figuresSchema.parse(await (await fetch(`http://127.0.0.1:${port}/`)).json());
  const until = (isSo: () => boolean, what: string): Promise<void> =>
    vi.waitFor(() => {
      if (!isSo()) throw new Error(`not ${what}, after:\n${lines().join("\n")}`);
    }, patiently);

  return {
    process: started,
    lines,
    figures,
    untilPath: (path) =>
      until(
        () => lines().findLast((line) => line.startsWith('{"path"')) === JSON.stringify({ path }),
        path,
      ),
    untilTold: (line) => until(() => lines().includes(JSON.stringify(line)), JSON.stringify(line)),
    untilServed: async (more) => {
      const { served } = await figures();
      return vi.waitFor(async () => {
        const now = await figures();
        if (now.served < served + more) throw new Error("still serving");
        return now;
      }, patiently);
    },
  };
}
