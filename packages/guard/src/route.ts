import {
  ConfigError,
  type FlagProblem,
  type GuardRequest,
  type PriceTable,
  type Provider,
  type ProviderConfig,
  type RouteCandidate,
  type RouteSource,
  type RouteStrategy,
  type SkippedCandidate,
} from "@sluice/contract";
import { compileRoute, orderCandidates, type CompiledRoute } from "@sluice/policy";
import type { Candidate } from "./candidate.ts";
import type { Events } from "./events.ts";
import type { Health } from "./health.ts";
import { problemText } from "./problem-text.ts";

/** Whom one request may be sent to, in that order. */
export interface Plan<In> {
  readonly strategy: RouteStrategy;
  /** The provider that the request named, where the route has it. */
  readonly requested: string | undefined;
  /** Only the first where failover is off. */
  readonly candidates: readonly Candidate<In>[];
  /** Who was passed over before anybody was asked. */
  readonly skipped: readonly SkippedCandidate[];
}

export interface Route<In> {
  /** Every provider, in the order in which they were given. */
  readonly providers: readonly Provider<In>[];
  readonly healthOf: (provider: Provider<In>) => Health;
  readonly strategy: RouteStrategy;
  /** Whether another candidate may stand in now. */
  readonly failover: () => boolean;
  /** Enabled candidates as they stand now. */
  candidates(): readonly Candidate<In>[];
  /** What the source itself found malformed, so that its last good rows are read. */
  problems(): readonly FlagProblem[];
  /** Whether the route has the candidate's provider still. */
  isEnabled(candidate: Candidate<In>): boolean;
  plan(request: GuardRequest): Plan<In>;
}

interface Compiled<In> {
  readonly from: readonly ProviderConfig[];
  readonly route: CompiledRoute;
  readonly byConfig: ReadonlyMap<RouteCandidate, Candidate<In>>;
  readonly names: ReadonlySet<string>;
  /** The plan of every request where nothing depends on the request. */
  readonly only: Plan<In> | undefined;
}

const where = "createGuard.route.candidates";

/**
 * Compiles the candidates each time their source changes. What is malformed then keeps the last good
 * route, with an alert.
 * @throws ConfigError when the first one is malformed
 */
export function createRoute<In>(options: {
  readonly source: RouteSource;
  readonly environment: string;
  readonly strategy: RouteStrategy;
  readonly providers: readonly Provider<In>[];
  readonly healthOf: (provider: Provider<In>) => Health;
  readonly prices: PriceTable | undefined;
  readonly timeoutMs: number;
  readonly maxRetries: number;
  readonly failover: () => boolean;
  /** Hashed before the subject, so that two features draw independently. */
  readonly salt: string;
  readonly events: Events;
}): Route<In> {
  const { source, environment, strategy, providers, healthOf, prices, failover, salt } = options;
  const byName = new Map(providers.map((provider) => [provider.name, provider]));
  const names = new Set(byName.keys());

  const toCandidate = (config: RouteCandidate): Candidate<In> => {
    // The compiler of the route has seen to it that each has a provider.
    const provider = byName.get(config.provider) as Provider<In>;
    const model = config.model ?? provider.model;
    return {
      config,
      provider,
      model,
      price: model === undefined ? undefined : prices?.[model],
      timeoutMs: config.timeoutMs ?? options.timeoutMs,
      maxRetries: config.maxRetries ?? options.maxRetries,
      health: healthOf(provider),
    };
  };

  const compile = (from: Compiled<In>["from"], rows: readonly unknown[] = from): Compiled<In> => {
    const route = compileRoute(where, rows, { environment, providers: names });
    const byConfig = new Map(route.enabled.map((config) => [config, toCandidate(config)]));
    const only: Plan<In> | undefined =
      route.enabled.length === 1 && route.disabled.length === 0 && strategy !== "requested"
        ? { strategy, requested: undefined, candidates: [...byConfig.values()], skipped: [] }
        : undefined;
    const enabled = new Set(route.enabled.map(({ provider }) => provider));
    return { from, route, byConfig, names: enabled, only };
  };

  /** The rows of the last good route, with what was disabled since. */
  let good = firstRows(source);
  let compiled = compile(good);

  const compileNarrowed = (from: Compiled<In>["from"]): Compiled<In> => {
    try {
      return compile(from, good);
    } catch {
      // Only those are left that are never drawn.
      const enabled = strategy !== "weighted";
      return compile(
        from,
        good.map((row) => ({ ...row, weight: 1, enabled: enabled && row.enabled !== false })),
      );
    }
  };

  /** A source that can't be read leaves the route as it was. */
  const read = (): Compiled<In>["from"] => {
    try {
      const from = source.read();
      options.events.clear("route");
      return from;
    } catch {
      options.events.alertOnce("route", {
        code: "DEPENDENCY_THREW",
        message: `the route source ${source.name} threw; the last good route stays`,
      });
      return compiled.from;
    }
  };

  let problems: readonly FlagProblem[] = [];

  const lookAtProblems = (): void => {
    if (source.problems === undefined) return;
    try {
      const found = source.problems();
      if (found === problems) return;
      const [first] = found;
      if (first !== undefined) {
        options.events.alert({
          code: "ROUTE_MALFORMED",
          message: `the route from ${source.name} is malformed, the last good one stays: ${found
            .map(problemText)
            .join("; ")}`,
          variable: first.variable,
        });
      }
      problems = found;
    } catch {
      options.events.alertOnce("route problems", {
        code: "DEPENDENCY_THREW",
        message: `the route source ${source.name} threw when asked for its problems`,
      });
    }
  };
  lookAtProblems();

  const current = (): Compiled<In> => {
    lookAtProblems();
    const from = read();
    if (from === compiled.from) return compiled;
    try {
      compiled = compile(from);
      good = from;
    } catch (error) {
      good = withoutDisabled(good, from, environment);
      // To disable is to narrow, which is always allowed: also where that leaves nobody.
      compiled = compileNarrowed(from);
      options.events.alert({
        code: "ROUTE_MALFORMED",
        message: `the route from ${source.name} is malformed, the last good one stays, but for who is disabled: ${
          ConfigError.isInstance(error) ? error.message : "it could not be read"
        }`,
      });
    }
    return compiled;
  };

  return {
    strategy,
    failover,
    providers,
    healthOf,
    candidates: () => [...current().byConfig.values()],
    problems() {
      lookAtProblems();
      return problems;
    },
    isEnabled(candidate) {
      const { byConfig, names: enabled } = current();
      return byConfig.has(candidate.config) || enabled.has(candidate.provider.name);
    },
    plan(request) {
      const { route, byConfig, only } = current();
      if (only !== undefined && request.provider === undefined) return only;
      const order = orderCandidates(route, {
        strategy,
        subject: request.subject,
        salt,
        requested: request.provider,
      });
      const candidates = order.candidates.map((config) => byConfig.get(config) as Candidate<In>);
      return {
        strategy,
        requested: order.requested,
        candidates: failover() ? candidates : candidates.slice(0, 1),
        skipped: order.skipped,
      };
    },
  };
}

/** What a driver throws may hold a password, and is not said. */
function firstRows(source: RouteSource): readonly ProviderConfig[] {
  try {
    return source.read();
  } catch {
    throw new ConfigError({ option: where, got: "a source that throws", expected: "rows" });
  }
}

/** The rows with those disabled that the newer ones plainly disable, whatever else is wrong with them. */
function withoutDisabled(
  rows: readonly ProviderConfig[],
  newer: readonly unknown[],
  environment: string,
): readonly ProviderConfig[] {
  const disabled = new Set<unknown>();
  for (const row of Array.isArray(newer) ? newer : []) {
    if (typeof row !== "object" || row === null) continue;
    const { provider, enabled, environment: of = "prod" } = row as Partial<ProviderConfig>;
    if (enabled === false && of === environment) disabled.add(provider);
  }
  return rows.map((row) => (disabled.has(row.provider) ? { ...row, enabled: false } : row));
}
