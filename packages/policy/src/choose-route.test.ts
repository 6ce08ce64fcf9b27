import { ConfigError, type ProviderConfig, type RouteStrategy } from "@sluice/contract";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  compileRoute,
  orderCandidates,
  type CompiledRoute,
  type RouteOrder,
} from "./choose-route.ts";

const where = "createGuard.route.candidates";
const all = new Set(["openai", "azure", "groq", "local"]);

function compile(
  configs: readonly unknown[],
  environment = "prod",
  providers: ReadonlySet<string> = all,
): CompiledRoute {
  return compileRoute(where, configs, { environment, providers });
}

const row = (provider: string, more: Partial<ProviderConfig> = {}): ProviderConfig => ({
  provider,
  ...more,
});

function ask(
  route: CompiledRoute,
  strategy: RouteStrategy,
  more: { readonly subject?: string; readonly salt?: string; readonly requested?: string } = {},
): RouteOrder {
  const { subject = "alice", salt = "chat_ai", requested } = more;
  return orderCandidates(route, { strategy, subject, salt, requested });
}

const names = (order: RouteOrder): string[] => order.candidates.map(({ provider }) => provider);

function refusalOf(configs: unknown, environment = "prod", providers = all): ConfigError {
  try {
    compile(configs as readonly unknown[], environment, providers);
  } catch (error) {
    if (ConfigError.isInstance(error)) return error;
    throw error;
  }
  throw new Error("not refused");
}

describe("a route", () => {
  it("keeps the candidates of its environment, as they are listed, with their defaults", () => {
    const route = compile([
      row("openai"),
      row("local", { environment: "dev" }),
      row("groq", { enabled: false }),
      row("azure", { weight: 3, metadata: { region: ["west", 1] } }),
    ]);
    expect(route.environment).toBe("prod");
    expect(route.enabled).toEqual([
      {
        ...row("openai"),
        environment: "prod",
        enabled: true,
        isDefault: false,
        weight: 1,
        metadata: {},
      },
      {
        ...row("azure"),
        environment: "prod",
        enabled: true,
        isDefault: false,
        weight: 3,
        metadata: { region: ["west", 1] },
      },
    ]);
    expect(route.disabled.map(({ provider }) => provider)).toEqual(["groq"]);
  });

  it("may name a provider, and have a default, once in each environment", () => {
    const rows = [row("openai", { isDefault: true }), row("azure")];
    const staging = rows.map((one) => ({ ...one, environment: "staging" }));
    expect(compile([...rows, ...staging], "staging").enabled).toHaveLength(2);
  });

  it("may have nobody enabled, and then nobody is asked under any strategy", () => {
    const route = compile([row("openai", { enabled: false, weight: 0 })]);
    for (const strategy of ["default", "weighted", "requested", "failover"] as const) {
      expect(ask(route, strategy)).toEqual({
        candidates: [],
        skipped: [{ provider: "openai", why: "disabled" }],
        requested: undefined,
      });
    }
  });

  it("asks no provider of another environment to exist", () => {
    expect(compile([row("openai"), row("other", { environment: "dev" })]).enabled).toHaveLength(1);
  });

  it.each<[string, unknown, string]>([
    [
      "that is no list",
      "openai",
      'createGuard.route.candidates: got "openai", expected an array of candidates',
    ],
    [
      "without a candidate for its environment",
      [row("openai", { environment: "dev" })],
      'createGuard.route.candidates: got no candidate for the environment "prod", expected at least one',
    ],
    [
      "without any candidate",
      [],
      'createGuard.route.candidates: got no candidate for the environment "prod", expected at least one',
    ],
    [
      "with a provider named twice",
      [row("openai"), row("openai", { model: "gpt-x" })],
      'createGuard.route.candidates.1.provider: got "openai" twice in the environment "prod", expected one candidate for each provider',
    ],
    [
      "with a provider named twice, once disabled",
      [row("azure"), row("openai", { enabled: false }), row("openai")],
      'createGuard.route.candidates.2.provider: got "openai" twice in the environment "prod", expected one candidate for each provider',
    ],
    [
      "with a provider named twice in another environment",
      [row("openai"), row("azure", { environment: "dev" }), row("azure", { environment: "dev" })],
      'createGuard.route.candidates.2.provider: got "azure" twice in the environment "dev", expected one candidate for each provider',
    ],
    [
      "with two defaults",
      [row("openai", { isDefault: true }), row("groq"), row("azure", { isDefault: true })],
      'createGuard.route.candidates.2.isDefault: got a second default beside "openai" in the environment "prod", expected at most one',
    ],
    [
      "whose weights are all zero",
      [row("openai", { weight: 0 }), row("azure", { weight: 0 })],
      'createGuard.route.candidates.0.weight: got 0 for every enabled candidate of the environment "prod", expected more than 0 for at least one',
    ],
    [
      "whose enabled weights are all zero",
      [row("openai", { enabled: false }), row("azure", { weight: 0 })],
      'createGuard.route.candidates.1.weight: got 0 for every enabled candidate of the environment "prod", expected more than 0 for at least one',
    ],
    [
      "with a provider that does not exist",
      [row("openai"), row("anthropic")],
      'createGuard.route.candidates.1.provider: got "anthropic", expected one of "openai", "azure", "groq", "local"',
    ],
    [
      "with a disabled provider that does not exist",
      [row("openai"), row("anthropic", { enabled: false })],
      'createGuard.route.candidates.1.provider: got "anthropic", expected one of "openai", "azure", "groq", "local"',
    ],
    [
      "with a row that is nothing",
      [row("openai"), null],
      "createGuard.route.candidates.1: got null, expected a value of type object",
    ],
    [
      "with a row without a provider",
      [{ weight: 1 }],
      "createGuard.route.candidates.0.provider: got nothing, expected a value of type string",
    ],
    [
      "with a name of two lines",
      [row("open\nai")],
      'createGuard.route.candidates.0.provider: got "open\\nai", expected 1 to 128 characters on one line',
    ],
    [
      "with a time limit of 0",
      [row("openai", { timeoutMs: 0 })],
      "createGuard.route.candidates.0.timeoutMs: got 0, expected at least 1",
    ],
    [
      "with a time limit above ten minutes",
      [row("openai", { timeoutMs: 600_001 })],
      "createGuard.route.candidates.0.timeoutMs: got 600001, expected at most 600000",
    ],
    [
      "with a negative weight",
      [row("openai", { weight: -1 })],
      "createGuard.route.candidates.0.weight: got -1, expected at least 0",
    ],
    [
      "with an unknown field",
      [{ ...row("openai"), isdefault: true }],
      "createGuard.route.candidates.0.isdefault: got an unknown option, expected only documented options",
    ],
  ])("%s is refused in one line", (_, configs, line) => {
    const error = refusalOf(configs);
    expect(error.message).toBe(line);
    expect(line.startsWith(`${error.option}: `)).toBe(true);
  });
});

describe("the order of candidates", () => {
  const route = compile([
    row("openai"),
    row("azure", { enabled: false }),
    row("groq", { isDefault: true }),
    row("local", { weight: 0 }),
  ]);
  const skipped = [{ provider: "azure", why: "disabled" }];

  it("under `default` is the default, then the others as they are listed", () => {
    expect(names(ask(route, "default"))).toEqual(["groq", "openai", "local"]);
    expect(names(ask(compile([row("openai"), row("azure")]), "default"))).toEqual([
      "openai",
      "azure",
    ]);
  });

  it("under `default` passes over a default that is disabled", () => {
    const order = ask(
      compile([row("openai"), row("azure", { enabled: false, isDefault: true }), row("groq")]),
      "default",
    );
    expect(names(order)).toEqual(["openai", "groq"]);
    expect(order.skipped).toEqual(skipped);
  });

  it("under `failover` is as they are listed, whatever the default", () => {
    expect(names(ask(route, "failover"))).toEqual(["openai", "groq", "local"]);
  });

  it("under `requested` begins with the one that is named, then goes on as `default`", () => {
    const order = ask(route, "requested", { requested: "local" });
    expect(names(order)).toEqual(["local", "groq", "openai"]);
    expect(order.requested).toBe("local");
    expect(order.skipped).toEqual(skipped);
  });

  it("under `requested` is as `default` when nobody is named", () => {
    expect(ask(route, "requested")).toEqual({ ...ask(route, "default"), requested: undefined });
  });

  it("under `requested` is as `default` when the named one is disabled", () => {
    const order = ask(route, "requested", { requested: "azure" });
    expect(names(order)).toEqual(["groq", "openai", "local"]);
    expect(order.requested).toBe("azure");
    expect(order.skipped).toEqual(skipped);
  });

  it.each(["", "sentinel", "OpenAI", "toString", "__proto__"])(
    "I5 under `requested` says that the route lacks %j without its name",
    (requested) => {
      const order = ask(route, "requested", { requested });
      expect(names(order)).toEqual(["groq", "openai", "local"]);
      expect(order.requested).toBeUndefined();
      expect(order.skipped).toEqual([{ why: "not_configured" }, ...skipped]);
    },
  );

  it.each(["default", "weighted", "failover"] as const)(
    "under `%s` does not obey the request, and tells whom it named",
    (strategy) => {
      const plain = ask(route, strategy);
      for (const { provider } of [...route.enabled, ...route.disabled]) {
        const order = ask(route, strategy, { requested: provider });
        expect(order).toEqual({ ...plain, requested: provider });
      }
      expect(ask(route, strategy, { requested: "sentinel" })).toEqual(plain);
    },
  );

  it("under `weighted` names the disabled ones too", () => {
    expect(ask(route, "weighted").skipped).toEqual(skipped);
  });

  it("is one shared frozen object wherever nothing is drawn", () => {
    const single = compile([row("openai"), row("local", { enabled: false })]);
    for (const strategy of ["default", "weighted", "requested", "failover"] as const) {
      const order = ask(single, strategy);
      expect(ask(single, strategy, { subject: "bob", salt: "" })).toBe(order);
      expect(Object.isFrozen(order)).toBe(true);
      expect(Object.isFrozen(order.candidates)).toBe(true);
      expect(Object.isFrozen(order.skipped)).toBe(true);
      const named = ask(single, strategy, { requested: "openai" });
      expect(ask(single, strategy, { requested: "openai" })).toBe(named);
    }
    for (const strategy of ["default", "requested", "failover"] as const) {
      expect(ask(route, strategy, { subject: "bob" })).toBe(ask(route, strategy));
    }
  });

  it("needs no draw under `weighted` where only one has a weight", () => {
    const one = compile([row("local", { weight: 0 }), row("openai"), row("groq", { weight: 0 })]);
    const order = ask(one, "weighted");
    expect(names(order)).toEqual(["openai", "local", "groq"]);
    expect(ask(one, "weighted", { subject: "bob" })).toBe(order);
  });
});

const subjects = Array.from({ length: 20_000 }, (_, i) => `user-${i}`);

function firsts(route: CompiledRoute, salt = "chat_ai"): string[] {
  return subjects.map((subject) => names(ask(route, "weighted", { subject, salt }))[0] ?? "");
}

describe("a draw by weight", () => {
  /** Computed with Python's hashlib and math.log. */
  it.each([
    ["alice", ["openai", "azure", "groq"]],
    ["user-42", ["azure", "openai", "groq"]],
    ["受験生", ["openai", "azure", "groq"]],
    ["a:b", ["openai", "groq", "azure"]],
  ] as const)("puts the candidates of %j in the order that the formula says", (subject, order) => {
    const route = compile([row("openai", { weight: 5 }), row("azure", { weight: 3 }), row("groq")]);
    expect(names(ask(route, "weighted", { subject }))).toEqual(order);
  });

  it("is the same each time for the same subject, and in every process", () => {
    const rows = [row("openai", { weight: 2 }), row("azure"), row("groq", { weight: 7 })];
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string(), (subject, salt) => {
        const once = names(ask(compile(rows), "weighted", { subject, salt }));
        expect(names(ask(compile(rows), "weighted", { subject, salt }))).toEqual(once);
        expect(once.toSorted()).toEqual(["azure", "groq", "openai"]);
      }),
    );
  });

  it("gives each candidate its share of the subjects", () => {
    const weights = { openai: 70, azure: 25, groq: 5 };
    const first = firsts(
      compile(Object.entries(weights).map(([provider, weight]) => row(provider, { weight }))),
    );
    const chiSquare = Object.entries(weights).reduce((sum, [provider, weight]) => {
      const expected = (subjects.length * weight) / 100;
      const count = first.filter((name) => name === provider).length;
      return sum + (count - expected) ** 2 / expected;
    }, 0);
    // 2 degrees of freedom; a fair draw exceeds 13.8 once in a thousand.
    expect(chiSquare).toBeLessThan(13.8);
  });

  it("shares the subjects of one that is out among the others by their weights", () => {
    const route = compile([row("openai", { weight: 6 }), row("azure", { weight: 3 }), row("groq")]);
    const seconds = subjects
      .map((subject) => names(ask(route, "weighted", { subject })))
      .filter(([first]) => first === "openai")
      .map(([, second]) => second);
    const azure = seconds.filter((name) => name === "azure").length;
    const expected = seconds.length * 0.75;
    // Four standard deviations of a binomial.
    expect(Math.abs(azure - expected)).toBeLessThan(4 * Math.sqrt(expected * 0.25));
  });

  it("is independent between two features", () => {
    const route = compile([row("openai"), row("azure")]);
    const one = firsts(route, "chat_ai");
    const other = firsts(route, "slotgen_ai");
    const both = one.filter((name, i) => name === "openai" && other[i] === "openai").length;
    const expected = subjects.length / 4;
    expect(Math.abs(both - expected)).toBeLessThan(4 * Math.sqrt(expected * 0.75));
  });

  it("never puts a candidate of weight 0 first, and leaves those last, as they are listed", () => {
    const route = compile([
      row("local", { weight: 0 }),
      row("openai"),
      row("groq", { weight: 0 }),
      row("azure"),
    ]);
    for (const subject of subjects.slice(0, 1000)) {
      expect(names(ask(route, "weighted", { subject })).slice(2)).toEqual(["local", "groq"]);
    }
  });

  it("does not depend on how the candidates are listed", () => {
    const rows = [row("openai", { weight: 2 }), row("azure"), row("groq", { weight: 3 })];
    expect(firsts(compile(rows))).toEqual(firsts(compile(rows.toReversed())));
  });

  const anyRows = fc
    .uniqueArray(fc.constantFrom(...all), { minLength: 2 })
    .chain((providers) =>
      fc.tuple(
        ...providers.map((provider) =>
          fc.record({ provider: fc.constant(provider), weight: fc.integer({ min: 1, max: 1000 }) }),
        ),
      ),
    );
  const anySubject = fc.string({ minLength: 1 });

  it("moves only the subjects of a candidate that leaves, is disabled, or comes back", () => {
    fc.assert(
      fc.property(anyRows, anySubject, fc.nat(), (rows, subject, pick) => {
        const gone = rows[pick % rows.length]?.provider ?? "";
        const before = names(ask(compile(rows), "weighted", { subject }));
        const without = rows.filter(({ provider }) => provider !== gone);
        const disabled = rows.map((one) => ({ ...one, enabled: one.provider !== gone }));
        for (const left of [without, disabled]) {
          const after = names(ask(compile(left), "weighted", { subject }));
          expect(after).toEqual(before.filter((provider) => provider !== gone));
        }
      }),
    );
  });

  it("moves subjects only to a candidate that gains weight", () => {
    fc.assert(
      fc.property(anyRows, anySubject, fc.nat(), (rows, subject, pick) => {
        const gains = rows[pick % rows.length]?.provider ?? "";
        const before = names(ask(compile(rows), "weighted", { subject }));
        const heavier = rows.map((one) =>
          one.provider === gains ? { ...one, weight: one.weight * 3 } : one,
        );
        const after = names(ask(compile(heavier), "weighted", { subject }));
        expect([gains, before[0]]).toContain(after[0]);
        const others = (order: readonly string[]) => order.filter((name) => name !== gains);
        expect(others(after)).toEqual(others(before));
      }),
    );
  });
});
