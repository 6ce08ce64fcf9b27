import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";

/** A database of a test's own on the server that psql's own variables name. */
export interface TestPostgres {
  readonly connectionString: string;
  /** Ends every connection to it and drops it. */
  readonly drop: () => void;
}

/** Whether a PostgreSQL server answers; unset, psql's variables name the server of this machine. */
export function postgresAnswers(): boolean {
  return psql("select 1").status === 0;
}

/** Creates an empty database; throws where no server answers. */
export function postgresForTests(): TestPostgres {
  const name = `sluice_test_${randomBytes(8).toString("hex")}`;
  // template0: nobody can be connected to it, so databases can be created at the same time.
  run(`create database ${name} template template0`);
  const { PGHOST, PGPORT, PGUSER, PGPASSWORD } = variables();
  const url = new URL(`postgresql://127.0.0.1/${name}`);
  // A folder of sockets is no host name of a URL.
  if (PGHOST.startsWith("/")) url.searchParams.set("host", PGHOST);
  else url.hostname = PGHOST;
  url.port = PGPORT;
  url.username = encodeURIComponent(PGUSER);
  if (PGPASSWORD !== undefined) url.password = encodeURIComponent(PGPASSWORD);
  return {
    connectionString: url.href,
    drop: () => run(`drop database if exists ${name} with (force)`),
  };
}

function variables() {
  const { PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE } = process.env;
  return {
    PGHOST: PGHOST || "127.0.0.1",
    PGPORT: PGPORT || "5432",
    PGUSER: PGUSER || "postgres",
    PGPASSWORD: PGPASSWORD || undefined,
    PGDATABASE: PGDATABASE || "postgres",
  };
}

function run(statement: string): void {
  const { status, stderr, error } = psql(statement);
  if (status !== 0) throw new Error(`psql: ${error?.message ?? stderr}`);
}

function psql(statement: string) {
  return spawnSync("psql", ["--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1", "-c", statement], {
    encoding: "utf8",
    env: { PGCONNECT_TIMEOUT: "5", ...process.env, ...variables() },
  });
}
