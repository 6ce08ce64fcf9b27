import type { FlagRow } from "./flag-row.ts";

/** The columns that a command sets. */
export interface FlagPatch {
  readonly enabled?: boolean;
  readonly percent?: number;
  readonly killed?: boolean;
  readonly allowlist?: readonly string[] | null;
  /** Null stands for the feature's name. */
  readonly salt?: string | null;
  readonly protected?: boolean;
}

/** In what a change may let somebody in who was out, one phrase each; narrowing has none. */
export function wideningsOf(before: FlagRow, patch: FlagPatch): readonly string[] {
  const found: string[] = [];
  if (patch.enabled === true && !before.enabled) found.push("enabled: no -> yes");
  if (patch.percent !== undefined && patch.percent > before.percent) {
    found.push(`percent: ${String(before.percent)} -> ${String(patch.percent)}`);
  }
  if (patch.killed === false && before.killed) found.push("killed: yes -> no");
  if (patch.allowlist === null && before.allowlist !== null) {
    found.push("allowlist: none any more, the percentage decides alone");
  }
  // As the database has it: a guard takes a first list as a demand, or as an exemption from the percentage.
  const listed = new Set(before.allowlist ?? []);
  const added = (patch.allowlist ?? []).filter((id) => !listed.has(id)).length;
  if (added > 0) found.push(`allowlist: ${String(added)} more`);
  const { feature, salt } = before;
  if (patch.salt !== undefined && (patch.salt ?? feature) !== (salt ?? feature)) {
    found.push("salt: other subjects are in");
  }
  if (patch.protected === false && before.protected) found.push("protected: yes -> no");
  return found;
}
