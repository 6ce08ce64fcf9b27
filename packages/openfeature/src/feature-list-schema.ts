import { ConfigError, assertFeatureName } from "@sluice/contract";
import { z } from "zod";

/** For options that list features. */
export const featureListSchema = z
  .array(z.custom<string>(isFeatureName, { error: "the name of a feature" }))
  .readonly();

function isFeatureName(value: unknown): boolean {
  try {
    assertFeatureName("feature", value);
    return true;
  } catch (error) {
    if (ConfigError.isInstance(error)) return false;
    throw error;
  }
}
