/** What counts a request in flight: a set of ids, the lists of subjects, or both. One object each, so that steps of many requests are grouped by it. */
export interface Counted {
  /** The beginning of all keys of its shard. */
  readonly shard: string;
  readonly set: string | undefined;
  readonly lists: string | undefined;
}

/** Where a day's reservations stand. */
export interface DayKey {
  readonly shard: string;
  readonly day: string;
}

/** Where one subject is counted. */
export interface PlaceOfSubject {
  /** As it stands in Redis. */
  readonly subject: string;
  readonly counted: Counted & { readonly lists: string };
}
