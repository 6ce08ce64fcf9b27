import { differences } from "./differences.ts";
import { codesIn, codesOf, tableUnder, type Page, type Table } from "./read-page.ts";

const streams = "Streams";
const elsewhere = [streams, "Behind a chat gateway", "Who answered"];

/** Faults of the page on HTTP, by the statuses that were observed. */
export function checkHttp(page: Page, observed: ReadonlyMap<string, readonly number[]>): string[] {
  return checkStatuses(
    page.tables.filter(({ heading }) => !elsewhere.includes(heading)),
    observed,
  );
}

/** What was seen of streams: how each kind of request was answered, and the members of each event. */
export interface ObservedStreams {
  readonly statuses: ReadonlyMap<string, readonly number[]>;
  readonly types: ReadonlyMap<string, string>;
  readonly events: ReadonlyMap<string, ReadonlySet<string>>;
}

/** Faults of what the page says of streams. */
export function checkStreams(page: Page, { statuses, types, events }: ObservedStreams): string[] {
  const table = tableUnder(page, streams);
  const eventTable = page.tables.find(({ columns }) => columns[0] === "event");
  if (eventTable === undefined) return ["no table lists the events"];
  return [
    ...checkStatuses([table], statuses),
    ...table.rows.flatMap((row) => {
      const request = row("the request");
      const real = types.get(request);
      return codesIn(row("content type"))[0] === real
        ? []
        : [`${request}: the content type is ${real ?? "unknown"}`];
    }),
    ...differences(codesOf(eventTable, "event"), [...events.keys()]),
    ...eventTable.rows.flatMap((row) => {
      const [event = ""] = codesIn(row("event"));
      return differences(codesIn(row("members")), [...(events.get(event) ?? [])]).map(
        (fault) => `${event}: ${fault}`,
      );
    }),
  ];
}

function checkStatuses(
  tables: readonly Table[],
  observed: ReadonlyMap<string, readonly number[]>,
): string[] {
  const rows = tables.flatMap((table) =>
    table.rows.map((row) => [row(table.columns[0] ?? ""), row("status")] as const),
  );
  return [
    ...differences(
      rows.map(([cause]) => cause),
      [...observed.keys()],
    ),
    ...rows.flatMap(([cause, cell]) => {
      const told = [...cell.matchAll(/\b\d{3}\b/g)]
        .map(([status]) => Number(status))
        .toSorted((a, b) => a - b);
      const real = observed.get(cause);
      return real === undefined || String(real) === String(told)
        ? []
        : [`${cause}: the status is ${real.join(" or ")}`];
    }),
  ];
}
