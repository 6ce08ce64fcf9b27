import { describe, it } from "vitest";

/** One sentence of a port's behaviour, and what holds an implementation against it. */
export interface Check<Subject> {
  readonly name: string;
  /** Throws where the implementation does not behave so. */
  run(subject: Subject): void | Promise<void>;
}

/** For a check that asks a server thousands of times, on a busy machine. */
const timeoutMs = 60_000;

/** A suite of checks as tests, one each. */
export function describeChecks<Subject>(
  title: string,
  checks: readonly Check<Subject>[],
  subject: Subject,
): void {
  // oxlint-disable-next-line vitest/valid-title -- the suite's name is an argument
  describe(title, () => {
    for (const check of checks) {
      // oxlint-disable-next-line vitest/valid-title, vitest/expect-expect -- checks bring their own
      it(check.name, { timeout: timeoutMs }, () => check.run(subject));
    }
  });
}

/** The names of the checks that an implementation fails; shows that a suite can fail. */
export async function failingChecks<Subject>(
  checks: readonly Check<Subject>[],
  subject: Subject,
): Promise<readonly string[]> {
  const failing: string[] = [];
  for (const check of checks) {
    try {
      await check.run(subject);
    } catch {
      failing.push(check.name);
    }
  }
  return failing;
}
