import type { MeasuresSchema } from "@sluice/contract";
import type { z } from "zod";
import { assembleGuard, type Assembly } from "./assemble-guard.ts";
import type { Guard } from "./guard.ts";
import { guardOf } from "./guard-of.ts";
import type { GuardOptions, Value } from "./guard-options.ts";
import { shadowOf, type ShadowHandle } from "./shadow-of.ts";
import { parseShadowOptions, type ShadowOptions } from "./shadow-options.ts";

/**
 * Puts a feature behind its gates.
 * @throws ConfigError: one line naming the option, what came and what was expected
 */
export function createGuard<
  In,
  Ok extends z.ZodType,
  Failed extends z.ZodType,
  Stub extends z.ZodType,
  M extends MeasuresSchema = never,
  const FailedValue extends Value<Failed> = Value<Failed>,
  const StubValue extends Value<Stub> = Value<Stub>,
>(
  options: GuardOptions<In, Ok, Failed, Stub, M, FailedValue, StubValue>,
): Guard<In, z.output<Ok>, z.output<Failed>, z.output<Stub>> {
  type Parts = Assembly<In, z.output<Ok>, z.output<Failed>, z.output<Stub>>;
  type Shadow = ShadowHandle<In, z.output<Ok>, z.output<Failed>, z.output<Stub>>;

  const makeShadow = (parent: Parts, given: ShadowOptions, onClosed: () => void): Shadow => {
    const checked = parseShadowOptions(given);
    const assembly = assembleGuard(options, { parent, options: checked });
    return shadowOf(assembly, {
      makeShadow: (further, onFurtherClosed) => makeShadow(assembly, further, onFurtherClosed),
      onClosed,
    });
  };

  const assembly = assembleGuard(options);
  return guardOf(assembly, {
    makeShadow: (given, onClosed) => makeShadow(assembly, given, onClosed),
    onClosed: () => undefined,
  }).guard;
}
