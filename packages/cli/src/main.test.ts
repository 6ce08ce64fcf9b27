import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { exitCodes } from "./exit-codes.ts";

const main = fileURLToPath(new URL("main.ts", import.meta.url));

it("the program ends with the exit code, its line on stderr", { timeout: 30_000 }, () => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--conditions=@sluice/source", main, "flags", "list"],
    { encoding: "utf8", env: {} },
  );
  expect({ status, stdout, stderr }).toEqual({
    status: exitCodes.usage,
    stdout: "",
    stderr:
      "sluice: no database: give --database-url or DATABASE_URL, or --folder or SLUICE_FOLDER\n",
  });
});
