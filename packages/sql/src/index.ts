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
  SqlTransactionOptions,
} from "./database.ts";
export { findPglite, type FoundPglite } from "./find-pglite.ts";
export { latencyEstimate } from "./latency-estimate.ts";
export { latencyPercentile } from "./latency-percentile.ts";
export type { LatencyQuery, ProviderLatency } from "./latency-query.ts";
export {
  rollUpLatency,
  type LatencyRolledUp,
  type RollUpLatencyOptions,
} from "./latency-roll-up.ts";
export {
  latencyRollup,
  type LatencyRollup,
  type LatencyRollupOptions,
  type LatencyRollupProblem,
} from "./latency-rollup.ts";
export type { MeasureTotals } from "./measure-totals.ts";
export type { CheckEffect } from "./metric-checks.ts";
export type { ParityTotals, Tally } from "./metric-parity.ts";
export type { MetricTotals } from "./metric-totals.ts";
export { metricWindows, type MetricWindows, type MetricWindowsOptions } from "./metric-windows.ts";
export type { MetricWindowsProblem, MetricWindowsState } from "./metric-window-writer.ts";
export { migrate, type Migrated, type MigrateOptions } from "./migrate.ts";
export { sqlNames, type SqlNameOptions, type SqlNames } from "./names.ts";
export { pglite, type PgliteOptions } from "./pglite.ts";
export type { PgliteSocketOptions } from "./pglite-socket.ts";
export { postgres, type PostgresOptions } from "./postgres.ts";
export { readBlockers, type Blocker, type ReadBlockersOptions } from "./read-blockers.ts";
export {
  awaitApplied,
  readInstances,
  type AppliedInstances,
  type AwaitAppliedOptions,
  type AwaitedInstances,
  type ReadInstancesOptions,
} from "./read-instances.ts";
export { readMetricWindows, type ReadMetricWindowsOptions } from "./read-metric-windows.ts";
export {
  readMigrations,
  type MigrationsRead,
  type ReadMigrationsOptions,
} from "./read-migrations.ts";
export { readUsage, type ReadUsageOptions, type RecordedUsage } from "./read-usage.ts";
export { recordOfOutcome, type GenerationRecord } from "./record-of-outcome.ts";
export type { RecordProblem, RecordWriterState } from "./record-reports.ts";
export { recordWriter, type RecordWriter, type RecordWriterOptions } from "./record-writer.ts";
export { sqlFlags, type SqlFlags, type SqlFlagsOptions } from "./sql-flags.ts";
export {
  sqlInstance,
  type InstanceProblem,
  type SqlInstance,
  type SqlInstanceOptions,
} from "./sql-instance.ts";
export { sqlRoutes, type SqlRoutes, type SqlRoutesOptions } from "./sql-routes.ts";
export type { WatchState } from "./watch-tables.ts";
