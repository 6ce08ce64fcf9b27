export {
  auditAnchor,
  verifyAudit,
  type AuditAnchor,
  type AuditOptions,
  type AuditProblem,
  type AuditVerdict,
  type VerifyAuditOptions,
} from "./audit.ts";
export type {
  SqlDatabase,
  SqlListener,
  SqlListenHandlers,
  SqlQuery,
  SqlResult,
} from "./database.ts";
export {
  latencyPercentile,
  type LatencyPercentileOptions,
  type ProviderLatency,
} from "./latency-percentile.ts";
export { migrate, type Migrated, type MigrateOptions } from "./migrate.ts";
export { sqlNames, type SqlNameOptions, type SqlNames } from "./names.ts";
export { pglite, type PgliteOptions } from "./pglite.ts";
export { postgres, type PostgresOptions } from "./postgres.ts";
export {
  awaitApplied,
  readInstances,
  type AppliedInstances,
  type AwaitAppliedOptions,
  type AwaitedInstances,
  type ReadInstancesOptions,
} from "./read-instances.ts";
export { recordOfOutcome, type GenerationRecord } from "./record-of-outcome.ts";
export {
  recordWriter,
  type RecordProblem,
  type RecordWriter,
  type RecordWriterOptions,
  type RecordWriterState,
} from "./record-writer.ts";
export { sqlFlags, type SqlFlags, type SqlFlagsOptions } from "./sql-flags.ts";
export {
  sqlInstance,
  type InstanceProblem,
  type SqlInstance,
  type SqlInstanceOptions,
} from "./sql-instance.ts";
export { sqlRoutes, type SqlRoutes, type SqlRoutesOptions } from "./sql-routes.ts";
export type { WatchState } from "./watch-tables.ts";
