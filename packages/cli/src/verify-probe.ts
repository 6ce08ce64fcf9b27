import { describeValue } from "@sluice/contract";
import { z } from "zod";
import { StepFailure } from "./verify-step.ts";

const resultSchema = z.object({
  effect: z.enum(["allow", "divert"]),
  gate: z.string().optional(),
  reason: z.string().optional(),
});

const runSchema = z.object({
  path: z.enum(["ai", "stub", "none"]),
  status: z.string(),
  reason: z.string().optional(),
  code: z.string().optional(),
});

const headSchema = z.object({
  feature: z.string(),
  instance: z.string().optional(),
  flagVersion: z.int().nullable(),
  percent: z.int(),
  closed: z.boolean(),
  without: z.array(z.string()),
  runs: z.boolean(),
});

const probedSchema = headSchema.extend({ results: z.array(resultSchema) });
const ranSchema = headSchema.extend({ results: z.array(runSchema) });

export type Probed = z.output<typeof probedSchema>;
export type Ran = z.output<typeof ranSchema>;
export type Verdict = z.output<typeof resultSchema>;

/** The probe route of one running process. Each call rejects with a {@link StepFailure}. */
export interface ProbeClient {
  /** What the gates say now, of any number of subjects. */
  ask(subjects: readonly string[]): Promise<Probed>;
  /** Runs the guard once for each, at most {@link runsAtOnce}. */
  run(subjects: readonly string[]): Promise<Ran>;
}

export interface ProbeClientOptions {
  readonly url: string;
  readonly token: string;
  /** Where the token came from, for people. */
  readonly tokenVariable: string;
  readonly feature: string;
  readonly signal: AbortSignal;
}

export const runsAtOnce = 100;
const subjectsAtOnce = 1000;
/** An earlier body parser of the app may take no more than 100 KiB, as Express's own. */
const charactersAtOnce = 32 * 1024;
const answerTimeoutMs = 10_000;

/** @throws never; the address is looked at when it is asked first */
export function createProbeClient(options: ProbeClientOptions): ProbeClient {
  const { url, token, tokenVariable, feature, signal } = options;
  let instance: string | undefined;

  const post = async (body: object): Promise<unknown> => {
    signal.throwIfAborted();
    const response = await fetch(url, {
      method: "POST",
      // The token is for this address alone.
      redirect: "error",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.any([signal, AbortSignal.timeout(answerTimeoutMs)]),
    }).catch((error: unknown) => {
      signal.throwIfAborted();
      throw new StepFailure(`no answer from the probe route (${codeOf(error)})`);
    });
    const text = await response.text().catch(() => "");
    if (response.ok) return parseJson(text);
    const why = response.status === 401 ? `: the token in ${tokenVariable} is not the app's` : "";
    throw new StepFailure(`the probe route answers ${response.status}${why}`);
  };

  const check = <Answer extends z.output<typeof headSchema> & { results: readonly unknown[] }>(
    schema: z.ZodType<Answer>,
    body: unknown,
    subjects: readonly string[],
  ): Answer => {
    const parsed = schema.safeParse(body);
    if (!parsed.success || parsed.data.results.length !== subjects.length) {
      throw new StepFailure("what answers there is no probe route of this version");
    }
    const answer = parsed.data;
    if (answer.feature !== feature) {
      throw new StepFailure(
        `the probe route is of another feature, ${describeValue(answer.feature)}`,
      );
    }
    instance ??= answer.instance;
    if (answer.instance !== instance) {
      throw new StepFailure(
        "the answers come from more than one process: give the address of one, not of a load balancer",
      );
    }
    return answer;
  };

  return {
    async ask(subjects) {
      const answers: Probed[] = [];
      for (const some of inBodies(subjects)) {
        answers.push(check(probedSchema, await post({ subjects: some }), some));
      }
      const [first] = answers;
      if (first === undefined) throw new StepFailure("no subject to ask of");
      return { ...first, results: answers.flatMap(({ results }) => results) };
    },
    run: async (subjects) => check(ranSchema, await post({ subjects, run: true }), subjects),
  };
}

/** In order, in parts that one call may hold. */
function* inBodies(subjects: readonly string[]): Generator<readonly string[]> {
  let some: string[] = [];
  let characters = 0;
  for (const subject of subjects) {
    const isFull = some.length === subjectsAtOnce || characters + subject.length > charactersAtOnce;
    if (some.length > 0 && isFull) {
      yield some;
      some = [];
      characters = 0;
    }
    some.push(subject);
    characters += subject.length;
  }
  if (some.length > 0) yield some;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Of a failed fetch, whose own message says nothing. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "unknown";
  const { code } = (error.cause ?? error) as { code?: unknown };
  return typeof code === "string" ? code : error.name;
}
