import { createLinkedList, type Link, type LinkedList } from "./linked-list.ts";

/** Items that wait, served by turns: one of each subject a round, the oldest of a subject first. */
export interface FairLine<T> {
  readonly size: number;
  /** Who has waited longest. */
  readonly oldest: T | undefined;
  /** The returned function takes it out again, in O(1); it is to be called once, unless `take` did it. */
  add(subject: string, item: T): () => void;
  /** Takes out whose turn it is. */
  take(): T | undefined;
  /** Everybody, in the order in which `take` would serve them. */
  inTurn(): readonly T[];
}

/** The items of one subject; a subject without any has no lane. */
interface Lane<T> {
  readonly subject: string;
  readonly waiters: LinkedList<Waiter<T>>;
}

interface Waiter<T> {
  readonly item: T;
  readonly remove: () => void;
}

export function createFairLine<T>(): FairLine<T> {
  const arrivals = createLinkedList<T>();
  const turns = createLinkedList<Lane<T>>();
  const turnOf = new Map<string, Link<Lane<T>>>();
  let size = 0;

  const joinTurns = (lane: Lane<T>): void => {
    turnOf.set(lane.subject, turns.append(lane));
  };

  const leaveTurns = ({ subject }: Lane<T>): void => {
    const turn = turnOf.get(subject);
    if (turn !== undefined) turns.remove(turn);
    turnOf.delete(subject);
  };

  return {
    get size() {
      return size;
    },
    get oldest() {
      return arrivals.first?.item;
    },
    add(subject, item) {
      const lane = turnOf.get(subject)?.item ?? { subject, waiters: createLinkedList() };
      if (lane.waiters.first === undefined) joinTurns(lane);
      const arrival = arrivals.append(item);
      const remove = (): void => {
        arrivals.remove(arrival);
        lane.waiters.remove(place);
        size -= 1;
        if (lane.waiters.first === undefined) leaveTurns(lane);
      };
      const place = lane.waiters.append({ item, remove });
      size += 1;
      return remove;
    },
    take() {
      const lane = turns.first?.item;
      const waiter = lane?.waiters.first?.item;
      if (lane === undefined || waiter === undefined) return undefined;
      waiter.remove();
      if (lane.waiters.first !== undefined) {
        leaveTurns(lane);
        joinTurns(lane);
      }
      return waiter.item;
    },
    inTurn() {
      const served: T[] = [];
      let round: Link<Waiter<T>>[] = [];
      for (let turn = turns.first; turn !== undefined; turn = turn.next) {
        const { first } = turn.item.waiters;
        if (first !== undefined) round.push(first);
      }
      while (round.length > 0) {
        for (const { item } of round) served.push(item.item);
        round = round.flatMap(({ next }) => next ?? []);
      }
      return served;
    },
  };
}
