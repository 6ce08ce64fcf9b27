import { fileURLToPath } from "node:url";
import { startProcess, startUpstream } from "@sluice/testkit";
import { expect, it } from "vitest";
import { modes } from "./expectations.ts";
import { faults, type FaultName } from "./faults.ts";

const program = fileURLToPath(new URL("./unread-streams.ts", import.meta.url));

it("I13 a process that awaits none of its requests outlives every fault, and ends by itself", {
  timeout: 15_000,
}, async () => {
  const read = Promise.resolve();
  const upstreams = await Promise.all(
    (Object.keys(faults) as FaultName[]).map((name) => {
      const { answer } = faults[name];
      return startUpstream((res, request) => answer?.(res, request, read));
    }),
  );
  const refused = await startUpstream(() => undefined);
  await refused.close();
  const urls = [...upstreams, refused].map(({ url }) => url);
  const child = startProcess(program, { args: urls });
  try {
    const end = await child.ended;
    expect(child.stderr).toBe("");
    expect(end).toEqual({ code: 0, signal: null });
    const held = urls.flatMap(() => modes.map(() => 0));
    expect(child.stdout).toBe(`began ${held.length}\nheld ${JSON.stringify(held)}\n`);
    // Each of them did arrive, and none hangs on.
    await Promise.all(upstreams.map((upstream) => upstream.settled()));
    expect(upstreams.map(({ requests }) => requests.length)).toEqual(
      upstreams.map(() => modes.length),
    );
  } finally {
    await child.kill();
    await Promise.all(upstreams.map((upstream) => upstream.close()));
  }
});
