import { benchAdmission } from "./admission/bench.ts";
import { benchChain } from "./chain/bench.ts";
import { benchExpress } from "./express/bench.ts";
import { benchGateway } from "./gateway/bench.ts";
import { benchStream } from "./stream/bench.ts";
import { benchKill } from "./kill/bench.ts";
import { benchLoss } from "./redis-loss/bench.ts";
import { benchRecords } from "./records/bench.ts";
import { benchSql } from "./sql/bench.ts";
import { writeDocs } from "./docs-table.ts";
import { toTable, writeResult, type BenchResult, type Metric } from "./result.ts";

const benches: Readonly<Record<string, () => Promise<readonly Metric[]>>> = {
  admission: benchAdmission,
  chain: benchChain,
  express: benchExpress,
  gateway: benchGateway,
  kill: benchKill,
  loss: benchLoss,
  records: benchRecords,
  sql: benchSql,
  stream: benchStream,
};

const asked = process.argv.slice(2).filter((argument) => argument !== "--");
const unknown = asked.filter((name) => !Object.hasOwn(benches, name));
if (unknown.length > 0) {
  console.error(
    `bench: got ${JSON.stringify(unknown[0])}, expected one of ${Object.keys(benches).join(", ")}`,
  );
  process.exitCode = 2;
} else {
  for (const [name, bench] of Object.entries(benches)) {
    if (asked.length > 0 && !asked.includes(name)) continue;
    const result: BenchResult = { name, node: process.versions.node, metrics: await bench() };
    console.log(`${toTable(result)}\n`);
    await writeResult(result);
    await writeDocs(result);
  }
}
