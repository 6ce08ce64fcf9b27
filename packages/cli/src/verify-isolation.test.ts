import { readdirSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { sqlNames } from "@sluice/sql";
import { foreignWritesSql, ourTables } from "./verify-isolation.ts";

const folder = new URL("../../sql/migrations/", import.meta.url);

const session = (nameOptions: Parameters<typeof sqlNames>[0] = {}) => ({
  db: undefined as never,
  names: sqlNames(nameOptions),
  nameOptions,
});

it("knows all tables of the migrations, and no other", () => {
  const scripts = readdirSync(folder).map((file) => readFileSync(new URL(file, folder), "utf8"));
  const created = scripts.flatMap((script) =>
    [...script.matchAll(/CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?"([a-z_]+)"/g)].map(
      ([, name]) => name,
    ),
  );
  expect(new Set(ourTables)).toEqual(new Set([...created, "sluice_migrations"]));
});

it("leaves out our tables by their prefix, or else by their names", () => {
  const counters = "SELECT schemaname, relname, n_tup_ins, n_tup_upd, n_tup_del";
  expect(foreignWritesSql(session({ prefix: "p3_" }))).toBe(
    `${counters} FROM pg_stat_user_tables WHERE NOT (schemaname = 'public' AND starts_with(relname, 'p3_'))`,
  );
  expect(foreignWritesSql(session())).toContain(
    "(schemaname = 'public' AND relname IN ('ai_provider_configs', ",
  );
  expect(foreignWritesSql(session({ schema: "s", prefix: "x_", flagTable: "flags" }))).toContain(
    "(schemaname = 's' AND (starts_with(relname, 'x_') OR relname = 'flags'))",
  );
});
