import { readFileSync } from "node:fs";
import type { FlagProblem } from "@sluice/contract";
import { describeOnDatabases, FakeClock } from "@sluice/testkit";
import { beforeAll, expect, it, vi } from "vitest";
import type { SqlDatabase } from "./database.ts";
import { sqlNames } from "./names.ts";
import { pglite } from "./pglite.ts";
import { postgres } from "./postgres.ts";
import { sqlRoutes, type SqlRoutes, type SqlRoutesOptions } from "./sql-routes.ts";

/** PGlite takes its time where the machine is busy. */
const patiently = { timeout: 60_000 };
const script = readFileSync(
  new URL("../migrations/0004_provider_configs.sql", import.meta.url),
  "utf8",
);

const custom = { environment: "prod", provider: "custom", enabled: true, position: 1 };
const openai = { environment: "prod", provider: "openai", enabled: true, position: 0 };

const providersOf = (routes: SqlRoutes): string[] =>
  routes.read().map(({ provider, enabled }) => (enabled === false ? `${provider} off` : provider));

describeOnDatabases<SqlDatabase>(
  "the table of providers",
  {
    postgres: (connectionString) => postgres({ connectionString }),
    pglite: () => pglite({}),
  },
  (open) => {
    let db: SqlDatabase;
    beforeAll(async () => {
      db = await open();
    }, patiently.timeout);

    /** A schema of the test's own, and the migration as it is written for it. */
    async function schemaOf(schema: string, prefix = ""): Promise<string> {
      await db.exec(`CREATE SCHEMA ${schema}`);
      return sqlNames({ schema, prefix }).render(script);
    }

    async function follow(schema: string, more: Partial<SqlRoutesOptions> = {}) {
      const clock = new FakeClock();
      const names = { schema };
      const routes = sqlRoutes(db, { clock, random: () => 0.5, names, ...more });
      await vi.waitFor(() => expect(routes.read()).not.toEqual([]), patiently);
      const until = (check: () => void): Promise<void> =>
        vi.waitFor(async () => {
          await clock.advanceAsync(100);
          check();
        }, patiently);
      return { routes, until };
    }

    it("has its seed once, and keeps what was changed since", patiently, async () => {
      const migration = await schemaOf("seeded");
      const read = async (): Promise<readonly unknown[]> => {
        const { rows } = await db.query(
          `SELECT environment, provider, enabled, is_default, position
            FROM seeded.ai_provider_configs ORDER BY provider`,
        );
        return rows;
      };
      const seed = [
        { ...custom, is_default: false },
        { ...openai, is_default: true },
      ];
      await db.exec(migration);
      expect(await read()).toEqual(seed);
      await db.exec(migration);
      expect(await read()).toEqual(seed);
      await db.exec(`
        DELETE FROM seeded.ai_provider_configs WHERE provider = 'openai';
        UPDATE seeded.ai_provider_configs SET is_default = true;
      `);
      await db.exec(migration);
      expect(await read()).toEqual([{ ...custom, is_default: true }]);
    });

    it("refuses what the contract refuses, and counts versions", patiently, async () => {
      await db.exec(await schemaOf("bounds"));
      const codeOf = async (set: string): Promise<unknown> => {
        try {
          await db.query(`UPDATE bounds.ai_provider_configs SET ${set} WHERE provider = 'custom'`);
          return "written";
        } catch (error) {
          return (error as { readonly code: unknown }).code;
        }
      };
      // A second default.
      expect(await codeOf("is_default = true")).toBe("23505");
      for (const set of [
        "weight = -1",
        "weight = 1000001",
        "timeout_ms = 0",
        "timeout_ms = 600001",
        "max_retries = -1",
        "max_retries = 11",
        "metadata = '[]'",
        "model = ''",
        "model = repeat('x', 129)",
        String.raw`model = E'a\nb'`,
        String.raw`prompt_template_version = E'a\u202eb'`,
      ]) {
        expect([set, await codeOf(set)]).toEqual([set, "23514"]);
      }
      expect(await codeOf("weight = 0, timeout_ms = 600000, model = '日本'")).toBe("written");
      expect(await codeOf("weight = 1000000, max_retries = 10, version = 40")).toBe("written");
      await db.exec("INSERT INTO bounds.ai_provider_configs VALUES ('dev', 'openai', true, true)");
      const { rows } = await db.query(
        `SELECT version::integer AS version FROM bounds.ai_provider_configs
          ORDER BY environment, provider`,
      );
      expect(rows).toEqual([{ version: 1 }, { version: 3 }, { version: 1 }]);
    });

    it("is followed live by a bare statement, also under a prefix", patiently, async () => {
      await db.exec(await schemaOf("live", "p3_"));
      const names = { schema: "live", prefix: "p3_" };
      // No time passes on its clock, so that nothing is polled.
      const { routes } = await follow("live", { names, environment: "prod" });
      const first = routes.read();
      expect(providersOf(routes)).toEqual(["openai", "custom"]);
      await db.query("UPDATE live.p3_ai_provider_configs SET enabled = false WHERE position = 1");
      await vi.waitFor(
        () => expect(providersOf(routes)).toEqual(["openai", "custom off"]),
        patiently,
      );
      expect(routes.read()).not.toBe(first);
      await db.query("DELETE FROM live.p3_ai_provider_configs WHERE provider = 'custom'");
      await vi.waitFor(() => expect(providersOf(routes)).toEqual(["openai"]), patiently);
      routes.close();
    });

    it("is followed by polling where nothing can be heard", patiently, async () => {
      await db.exec(await schemaOf("polled"));
      const { routes, until } = await follow("polled", { listen: false });
      await db.query("DELETE FROM polled.ai_provider_configs WHERE provider = 'custom'");
      await until(() => expect(providersOf(routes)).toEqual(["openai"]));
      routes.close();
    });

    it("keeps the last good route over a malformed row of the product's", patiently, async () => {
      await db.exec(`
        CREATE SCHEMA own;
        CREATE TABLE own.ai_provider_configs (id integer, provider text, weight integer);
        INSERT INTO own.ai_provider_configs VALUES (1, 'openai', 1), (2, 'custom', 2);
      `);
      const problems: FlagProblem[] = [];
      const onProblem = (problem: FlagProblem): void => void problems.push(problem);
      const { routes, until } = await follow("own", { onProblem });
      const good = routes.read();
      expect(providersOf(routes)).toEqual(["custom", "openai"]);
      await db.exec("ALTER TABLE own.ai_provider_configs ALTER weight TYPE text");
      await until(() => expect(problems).not.toEqual([]));
      expect(problems).toEqual([
        {
          variable: "own.ai_provider_configs.weight",
          expected: "an integer from 0 to 1000000",
          readAs: "the last good route",
        },
      ]);
      expect(routes.read()).toBe(good);
      routes.close();
    });
  },
);
