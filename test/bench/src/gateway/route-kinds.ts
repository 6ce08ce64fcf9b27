/** The routes that are measured beside each other. */
export const routeKinds = [
  "bare",
  "legacy",
  "checks",
  "mirror",
  "memory",
  "redis",
  "portkey",
  "sdk",
] as const;
export type RouteKind = (typeof routeKinds)[number];

/** Routes in the stage `shadow` whose shadow meets no end. */
export const failingKinds = ["provider hangs", "store hangs", "all throws"] as const;
export type FailingKind = (typeof failingKinds)[number];

/** As the tables name them. */
export const routeNames: Readonly<Record<RouteKind, string>> = {
  bare: "bare",
  legacy: "stage legacy",
  checks: "stage shadow, checks",
  mirror: "stage shadow, mirror 5 %",
  memory: "guarded, memory",
  redis: "guarded, Redis",
  portkey: "bare through Portkey's gateway",
  sdk: "AI SDK alone",
};
