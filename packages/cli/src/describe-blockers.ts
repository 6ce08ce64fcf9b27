import type { Blocker } from "@sluice/sql";

/** How the blockers are ended, as a statement; undefined where none of them is a process. */
function endStatement(blockers: readonly Blocker[]): string | undefined {
  const pids = blockers.map(({ pid }) => pid).filter((pid) => pid !== 0);
  if (pids.length === 0) return undefined;
  return pids.length === 1
    ? `SELECT pg_terminate_backend(${pids.join()})`
    : `SELECT pg_terminate_backend(pid) FROM unnest(ARRAY[${pids.join(", ")}]) AS pid`;
}

const shown = 3;

/** One line: who blocks, and how that is ended. */
export function describeBlockers(blockers: readonly Blocker[]): string {
  const more = blockers.length - shown;
  const who = [
    ...blockers.slice(0, shown).map(describe),
    ...(more > 0 ? [`${String(more)} more`] : []),
  ].join(", ");
  const ends = [
    ...(blockers.some(({ pid }) => pid === 0)
      ? ["ROLLBACK PREPARED what SELECT gid FROM pg_prepared_xacts names"]
      : []),
    ...[endStatement(blockers)].filter((statement) => statement !== undefined),
  ].join(" and ");
  return `${who}; end that with ${ends}`;
}

function describe({ pid, role, applicationName, since }: Blocker): string {
  if (pid === 0) return "a prepared transaction";
  const known = [
    ...(role === undefined ? [] : [`role ${role}`]),
    ...(applicationName === undefined || applicationName === ""
      ? []
      : [`application ${applicationName}`]),
    ...(since === undefined ? [] : [`since ${since}`]),
  ];
  return `pid ${String(pid)}${known.length === 0 ? "" : ` (${known.join(", ")})`}`;
}

/** The same as JSON has it. */
export function blockersAsJson(blockers: readonly Blocker[]) {
  return {
    blockers: blockers.map(({ pid, role = null, applicationName = null, since = null }) => ({
      pid,
      role,
      applicationName,
      since,
    })),
    endWith: endStatement(blockers) ?? null,
  };
}
