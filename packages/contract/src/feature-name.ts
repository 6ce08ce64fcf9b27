import { ConfigError, describeValue } from "./config-error.ts";

const pattern = /^[a-z][a-z0-9_]{0,62}$/;
/** With these, a flag of one feature would bear the name of another's: `FEATURE_X_KILL`. */
const reserved = /^feature_|_(?:kill|allowlist|rollout_percent)$/;

/**
 * A feature's name becomes environment variables, SQL values and metric attributes, so it is kept to
 * characters that mean nothing in any of them.
 * @throws ConfigError
 */
export function assertFeatureName(option: string, name: unknown): asserts name is string {
  if (typeof name !== "string" || !pattern.test(name)) {
    throw new ConfigError({
      option,
      got: describeValue(name),
      expected: "a lower-case letter, then at most 62 lower-case letters, digits or _",
    });
  }
  if (reserved.test(name)) {
    throw new ConfigError({
      option,
      got: describeValue(name),
      expected:
        "a name that does not begin with feature_ or end with _kill, _allowlist or _rollout_percent",
    });
  }
}
