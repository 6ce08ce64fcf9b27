import {
  ConfigError,
  failureCodes,
  type Contract,
  type Failure,
  type FailureCode,
  type MeasuresReport,
  type MeasuresSchema,
} from "@sluice/contract";
import type { z } from "zod";
import type { Events } from "./events.ts";
import type { MeasureCollector } from "./measure-collector.ts";

/** What a stub is given besides its input. */
export interface StubContext<M extends MeasuresSchema> {
  /** Reports measures of the application's own work. */
  readonly measure: (report: MeasuresReport<M>) => void;
}

/** The values that need no provider. Whatever they return has been parsed under the contract. */
export interface SafePath<In, Failed, Stub> {
  /** Who answers: the stub, or the caller's own handler. */
  readonly path: "stub" | "legacy";
  /** The value; undefined when the stub threw or its value does not parse. */
  answer(input: In, measures: MeasureCollector): Promise<{ readonly value: Stub } | undefined>;
  failed(code: FailureCode): Failed;
}

/**
 * Prepares the safe path.
 * @throws ConfigError when the FAILED value of any failure code does not parse; it names the code and
 * the path of the schema
 */
export function createSafePath<In, Failed, Stub>(options: {
  readonly contract: Contract<z.ZodType, z.ZodType<Failed>, z.ZodType<Stub>>;
  readonly failed: (failure: Failure) => unknown;
  readonly stub: (input: In, context: { readonly measure: (report: unknown) => void }) => unknown;
  readonly events: Events;
}): SafePath<In, Failed, Stub> {
  const { contract, stub, events } = options;
  const made = new Map<FailureCode, unknown>();
  for (const code of failureCodes) {
    const option = `createGuard.failed(${code})`;
    const expected = "a FAILED value";
    const value = orConfigError(() => options.failed({ code }), {
      option,
      got: "a function that throws",
      expected,
    });
    const parsed = orConfigError(() => contract.failed.safeParse(value), {
      option,
      got: "a schema that throws",
      expected: "one whose refinements are synchronous and don't throw",
    });
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      throw new ConfigError({
        option: `${option}${issue?.path.map((part) => `.${String(part)}`).join("") ?? ""}`,
        got: "a value that does not parse under the contract's failed member",
        expected: issue?.message ?? expected,
      });
    }
    if (!contract.failed.safeParse(parsed.data).success) {
      throw new ConfigError({
        option,
        got: "a value that no longer parses once it has been parsed",
        expected: "a failed member without transforms",
      });
    }
    made.set(code, value);
  }

  return {
    path: "stub",
    async answer(input, measures) {
      try {
        const parsed = contract.stub.safeParse(
          await stub(input, { measure: (report) => measures.report(report) }),
        );
        // A transform of the contract may have made of it what does not parse.
        if (parsed.success && contract.stub.safeParse(parsed.data).success) {
          events.clear("stub");
          return { value: parsed.data };
        }
      } catch {
        // Told below, without the error: it may quote content.
      }
      events.alertOnce("stub", {
        code: "STUB_FAILED",
        message: "the stub threw, or its value does not parse under the contract",
      });
      return undefined;
    },
    // Parsed on each call, so that no two requests share one object.
    failed: (code) => contract.failed.parse(made.get(code)),
  };
}

const unanswered: Promise<{ readonly value: undefined }> = Promise.resolve({ value: undefined });

/** The safe path of a caller that answers by itself: nothing is called, and there is no value. */
export function legacyPath<In, Failed, Stub>(
  of: SafePath<In, Failed, Stub>,
): SafePath<In, Failed, undefined> {
  return { path: "legacy", answer: () => unanswered, failed: (code) => of.failed(code) };
}

/** What was thrown is not said: it may quote content. */
function orConfigError<T>(make: () => T, fault: ConstructorParameters<typeof ConfigError>[0]): T {
  try {
    return make();
  } catch {
    throw new ConfigError(fault);
  }
}
