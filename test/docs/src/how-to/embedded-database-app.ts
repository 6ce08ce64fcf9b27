// Run as a program, because the page's folder is in the one that it runs in.
import { findPglite } from "@sluice/sql";
import { setUp } from "./embedded-database.ts";

const { db, flags } = await setUp();
const found = findPglite("./data");
process.stdout.write(
  `${JSON.stringify({ confirmed: flags.confirmedAt() !== undefined, found })}\n`,
);
flags.close();
await db.close();
