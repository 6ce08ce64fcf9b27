import { expect, it } from "vitest";
import { blockersAsJson, describeBlockers } from "./describe-blockers.ts";

const blocker = (pid: number) => ({
  pid,
  role: undefined,
  applicationName: undefined,
  since: undefined,
});

it("several are named, the first three at length, and all are ended by one statement", () => {
  const five = [5, 4, 3, 2, 1].map(blocker);
  const end = "SELECT pg_terminate_backend(pid) FROM unnest(ARRAY[5, 4, 3, 2, 1]) AS pid";
  expect(describeBlockers(five)).toBe(`pid 5, pid 4, pid 3, 2 more; end that with ${end}`);
  expect(blockersAsJson(five)).toMatchObject({ blockers: { length: 5 }, endWith: end });
});

it("a prepared transaction is no process, and ended in another way", () => {
  const prepared = "ROLLBACK PREPARED what SELECT gid FROM pg_prepared_xacts names";
  expect(describeBlockers([blocker(0)])).toBe(`a prepared transaction; end that with ${prepared}`);
  expect(describeBlockers([{ ...blocker(7), role: "app", applicationName: "" }, blocker(0)])).toBe(
    `pid 7 (role app), a prepared transaction; end that with ${prepared} and SELECT pg_terminate_backend(7)`,
  );
  expect(blockersAsJson([blocker(0)])).toEqual({
    blockers: [{ pid: 0, role: null, applicationName: null, since: null }],
    endWith: null,
  });
});
