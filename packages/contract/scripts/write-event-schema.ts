import { fileURLToPath } from "node:url";
import { eventSchema, eventSchemaVersion } from "../src/telemetry/events.ts";
import { toSchemaText, writeVersion } from "./event-schema.ts";

const directory = fileURLToPath(new URL("../schema/", import.meta.url));

try {
  const result = writeVersion(directory, eventSchemaVersion, toSchemaText(eventSchema));
  process.stdout.write(`schema/events.v${eventSchemaVersion}.json: ${result}\n`);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
