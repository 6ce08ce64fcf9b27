import { hash } from "node:crypto";
import {
  ConfigError,
  describeValue,
  parseOptions,
  providerConfigSchema,
  type RouteCandidate,
  type RouteStrategy,
  type SkippedCandidate,
} from "@sluice/contract";

/** The candidates of one environment, checked. */
export interface CompiledRoute {
  readonly environment: string;
  /** As they are listed. */
  readonly enabled: readonly RouteCandidate[];
  readonly disabled: readonly RouteCandidate[];
  /** Built once; a strategy that must draw has none. */
  readonly orders: Readonly<Record<Exclude<RouteStrategy, "weighted">, OrdersByRequest>> & {
    readonly weighted: OrdersByRequest | undefined;
  };
}

/** The candidates of one request, the first choice first. */
export interface RouteOrder {
  readonly candidates: readonly RouteCandidate[];
  readonly skipped: readonly SkippedCandidate[];
  /** The provider that the request names, under any strategy; undefined when the route lacks it. */
  readonly requested: string | undefined;
}

interface OrdersByRequest {
  /** For a request that names no provider. */
  readonly none: RouteOrder;
  /** For one that names a provider which the route lacks. */
  readonly unknown: RouteOrder;
  readonly named: ReadonlyMap<string, RouteOrder>;
}

/**
 * Checks the rows of a route and keeps those of one environment. Each row is checked; names and defaults
 * within every environment, the rest within the asked one. That all are disabled is allowed.
 * @param where Path of the list itself, for example `createGuard.route.candidates`.
 * @throws ConfigError naming the row and its field.
 */
export function compileRoute(
  where: string,
  configs: readonly unknown[],
  options: { readonly environment: string; readonly providers: ReadonlySet<string> },
): CompiledRoute {
  const { environment, providers } = options;
  if (!Array.isArray(configs)) {
    throw new ConfigError({
      option: where,
      got: describeValue(configs),
      expected: "an array of candidates",
    });
  }
  const rows = configs.map((config, i) => ({
    option: `${where}.${i}`,
    candidate: Object.freeze(parseOptions(`${where}.${i}`, providerConfigSchema, config)),
  }));
  assertOneEach(rows);
  const own = rows.filter(({ candidate }) => candidate.environment === environment);
  if (own.length === 0) {
    throw new ConfigError({
      option: where,
      got: `no candidate for the environment ${describeValue(environment)}`,
      expected: "at least one",
    });
  }
  for (const { option, candidate } of own) {
    if (providers.has(candidate.provider)) continue;
    throw new ConfigError({
      option: `${option}.provider`,
      got: describeValue(candidate.provider),
      expected: `one of ${[...providers].map((name) => describeValue(name)).join(", ")}`,
    });
  }
  const [first, ...others] = own.filter(({ candidate }) => candidate.enabled);
  if (first?.candidate.weight === 0 && others.every(({ candidate }) => candidate.weight === 0)) {
    throw new ConfigError({
      option: `${first.option}.weight`,
      got: `0 for every enabled candidate of the environment ${describeValue(environment)}`,
      expected: "more than 0 for at least one",
    });
  }
  const candidates = own.map(({ candidate }) => candidate);
  const enabled = Object.freeze(candidates.filter((candidate) => candidate.enabled));
  const disabled = Object.freeze(candidates.filter((candidate) => !candidate.enabled));
  return { environment, enabled, disabled, orders: ordersOf(enabled, disabled) };
}

interface Row {
  readonly option: string;
  readonly candidate: RouteCandidate;
}

/** One candidate of each provider and at most one default, in every environment. */
function assertOneEach(rows: readonly Row[]): void {
  const providers = new Set<string>();
  const defaults = new Map<string, string>();
  for (const { option, candidate } of rows) {
    const { provider, environment, isDefault } = candidate;
    // A name holds no line break, so it can't run into its neighbour.
    const key = `${environment}\n${provider}`;
    if (providers.has(key)) {
      throw new ConfigError({
        option: `${option}.provider`,
        got: `${describeValue(provider)} twice in the environment ${describeValue(environment)}`,
        expected: "one candidate for each provider",
      });
    }
    providers.add(key);
    if (!isDefault) continue;
    const other = defaults.get(environment);
    if (other !== undefined) {
      throw new ConfigError({
        option: `${option}.isDefault`,
        got: `a second default beside ${describeValue(other)} in the environment ${describeValue(environment)}`,
        expected: "at most one",
      });
    }
    defaults.set(environment, provider);
  }
}

function ordersOf(
  enabled: readonly RouteCandidate[],
  disabled: readonly RouteCandidate[],
): CompiledRoute["orders"] {
  const skipped = disabled.map(
    ({ provider }): SkippedCandidate => Object.freeze({ provider, why: "disabled" }),
  );
  const withUnknown = [Object.freeze({ why: "not_configured" } as const), ...skipped];
  const names = [...enabled, ...disabled].map(({ provider }) => provider);
  /** A request's name changes the order only under the strategy `requested`. */
  const byRequest = (candidates: readonly RouteCandidate[], obeyed: boolean): OrdersByRequest => ({
    none: freezeOrder(candidates, skipped, undefined),
    unknown: freezeOrder(candidates, obeyed ? withUnknown : skipped, undefined),
    named: new Map(
      names.map((name) => [
        name,
        freezeOrder(
          obeyed ? firstOf(candidates, ({ provider }) => provider === name) : candidates,
          skipped,
          name,
        ),
      ]),
    ),
  });
  const defaultFirst = firstOf(enabled, ({ isDefault }) => isDefault);
  const drawn = enabled.filter(({ weight }) => weight > 0);
  return {
    default: byRequest(defaultFirst, false),
    failover: byRequest(enabled, false),
    requested: byRequest(defaultFirst, true),
    // Where at most one can be drawn, every subject has the same order.
    weighted:
      drawn.length > 1
        ? undefined
        : byRequest(
            firstOf(enabled, ({ weight }) => weight > 0),
            false,
          ),
  };
}

/** The wanted one ahead of the others, which keep their order. */
function firstOf(
  candidates: readonly RouteCandidate[],
  isWanted: (candidate: RouteCandidate) => boolean,
): readonly RouteCandidate[] {
  const wanted = candidates.filter((candidate) => isWanted(candidate));
  return [...wanted, ...candidates.filter((candidate) => !isWanted(candidate))];
}

function freezeOrder(
  candidates: readonly RouteCandidate[],
  skipped: readonly SkippedCandidate[],
  requested: string | undefined,
): RouteOrder {
  return Object.freeze({
    candidates: Object.freeze([...candidates]),
    skipped: Object.freeze([...skipped]),
    requested,
  });
}

/**
 * The order in which the candidates are asked, as `RouteStrategy` says. Disabled ones are skipped.
 * Without a draw the answer is a shared frozen object; a draw hashes once for each candidate.
 */
export function orderCandidates(
  route: CompiledRoute,
  ask: {
    readonly strategy: RouteStrategy;
    readonly subject: string;
    readonly salt: string;
    readonly requested: string | undefined;
  },
): RouteOrder {
  const ready = route.orders[ask.strategy];
  if (ready !== undefined) return orderFor(ready, ask.requested);
  const { skipped, requested } = orderFor(route.orders.failover, ask.requested);
  return { candidates: draw(route.enabled, ask.salt, ask.subject), skipped, requested };
}

function orderFor(orders: OrdersByRequest, requested: string | undefined): RouteOrder {
  if (requested === undefined) return orders.none;
  return orders.named.get(requested) ?? orders.unknown;
}

/**
 * Weighted rendezvous hashing: each candidate's score is `-weight / ln(u)`, where u, strictly between 0
 * and 1, comes from the first 52 bits of `sha256(salt || ':' || subject || ':' || provider)`; the highest
 * is first. A candidate is first for weight / (sum of weights) of the subjects, and one that comes, goes
 * or changes its weight moves only those that it takes or leaves. Weight 0 is last, as listed.
 * Source: Schindelhauer and Schomaker, "Weighted Distributed Hash Tables", SPAA 2005;
 * https://en.wikipedia.org/wiki/Rendezvous_hashing
 */
function draw(
  candidates: readonly RouteCandidate[],
  salt: string,
  subject: string,
): readonly RouteCandidate[] {
  const scored = candidates.map((candidate) => ({
    candidate,
    score: candidate.weight === 0 ? 0 : scoreOf(candidate, salt, subject),
  }));
  return scored.toSorted((a, b) => b.score - a.score).map(({ candidate }) => candidate);
}

function scoreOf({ provider, weight }: RouteCandidate, salt: string, subject: string): number {
  const digest = hash("sha256", `${salt}:${subject}:${provider}`, "hex");
  const u = (Number.parseInt(digest.slice(0, 13), 16) + 0.5) / 2 ** 52;
  return -weight / Math.log(u);
}
