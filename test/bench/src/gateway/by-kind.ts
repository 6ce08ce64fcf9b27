import { routeKinds, type RouteKind } from "./route-kinds.ts";

export type ByKind<Value> = Readonly<Record<RouteKind, Value>>;

export function byKind<Value>(make: (kind: RouteKind) => Value): ByKind<Value> {
  return Object.fromEntries(routeKinds.map((kind) => [kind, make(kind)])) as ByKind<Value>;
}

/**
 * Over as many rounds as there are kinds each has each place once, and follows each other kind once: what one
 * leaves behind falls on all alike.
 * Source: E. J. Williams, "Experimental Designs Balanced for the Estimation of Residual Effects", 1949.
 */
export function orderOf(round: number): readonly RouteKind[] {
  const count = routeKinds.length;
  return routeKinds.flatMap((_, place) => {
    const step = place % 2 === 0 ? place / 2 : count - (place + 1) / 2;
    const at = (step + round) % count;
    return routeKinds.slice(at, at + 1);
  });
}
