import type { Attributes } from "@sluice/contract";
import { isEligibleSubject } from "./subject.ts";

/** An attribute's permitted value, or any of several. Compared by type and value. */
export type RuleValue = string | number | boolean | readonly (string | number | boolean)[];

/** A subject's id, or attribute values that must all hold. */
export type AllowlistRule = string | Readonly<Record<string, RuleValue>>;

export type AllowlistMatcher = (subject: string, attributes: Attributes | undefined) => boolean;

/** Compiles rules; a subject passes when any of them permits it. No rule permits nobody. */
export function compileAllowlist(rules: readonly AllowlistRule[]): AllowlistMatcher {
  const ids = new Set(rules.filter((rule) => typeof rule === "string"));
  const attributeRules = rules
    .filter((rule) => typeof rule !== "string")
    .map((rule) =>
      Object.entries(rule).map(([name, value]): [string, ReadonlySet<unknown>] => [
        name,
        new Set<unknown>(Array.isArray(value) ? value : [value]),
      ]),
    )
    // Conditions that all hold because there is none would permit everybody.
    .filter((conditions) => conditions.length > 0);
  return (subject, attributes) => {
    if (!isEligibleSubject(subject)) return false;
    if (ids.has(subject)) return true;
    // Attributes are often a job's parsed JSON, whatever their type says.
    if (typeof attributes !== "object" || attributes === null) return false;
    return attributeRules.some((conditions) =>
      conditions.every(
        // An inherited property is nobody's attribute.
        ([name, values]) => Object.hasOwn(attributes, name) && values.has(attributes[name]),
      ),
    );
  };
}
