/** Where an item stands in its list. */
export interface Link<T> {
  readonly item: T;
  next: Link<T> | undefined;
  previous: Link<T> | undefined;
}

/** First in, first out, and out of the middle too: each in O(1), which no array and no `Set` gives. */
export interface LinkedList<T> {
  readonly first: Link<T> | undefined;
  append(item: T): Link<T>;
  /** Takes out a link that stands in this list. */
  remove(link: Link<T>): void;
}

export function createLinkedList<T>(): LinkedList<T> {
  let first: Link<T> | undefined;
  let last: Link<T> | undefined;
  return {
    get first() {
      return first;
    },
    append(item) {
      const link: Link<T> = { item, next: undefined, previous: last };
      if (last === undefined) first = link;
      else last.next = link;
      last = link;
      return link;
    },
    remove(link) {
      const { next, previous } = link;
      if (previous === undefined) first = next;
      else previous.next = next;
      if (next === undefined) last = previous;
      else next.previous = previous;
    },
  };
}
