import { randomBytes } from "node:crypto";
import { postgres } from "@sluice/sql";

/** Gives work an empty database of its own, on the server of `BENCH_DATABASE_URL`, and drops it afterwards. */
export async function withOwnDatabase<Result>(
  work: (connectionString: string) => Promise<Result>,
): Promise<Result> {
  const server = new URL(
    process.env["BENCH_DATABASE_URL"] ?? "postgresql://postgres@127.0.0.1:5432/postgres",
  );
  const name = `sluice_bench_${randomBytes(6).toString("hex")}`;
  const admin = postgres({ connectionString: server.href, statementTimeoutMs: 60_000 });
  await admin.query(`CREATE DATABASE ${name}`);
  const own = new URL(server);
  own.pathname = `/${name}`;
  try {
    return await work(own.href);
  } finally {
    await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
    await admin.close();
  }
}
