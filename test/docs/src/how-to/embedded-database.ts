// #region
import { randomBytes } from "node:crypto";
import { systemClock } from "@sluice/guard";
import { migrate, pglite, sqlFlags } from "@sluice/sql";
// #endregion

/** What the page sets up. */
export async function setUp() {
  // #region +
  const db = pglite({ folder: "./data", socket: { clock: systemClock, randomBytes } });
  await migrate(db);
  const flags = sqlFlags(db, { clock: systemClock, random: Math.random });
  await flags.ready();
  // #endregion
  return { db, flags };
}
