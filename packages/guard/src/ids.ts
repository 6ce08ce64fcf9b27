import { randomUUID } from "node:crypto";
import type { NewId } from "@sluice/contract";

/** Version 4 UUIDs; Node draws their randomness in blocks, so one costs well under a microsecond. */
export const randomIds: NewId = () => randomUUID();

/** For jitter, not for secrets. */
export const machineRandom = (): number => Math.random();
