export {
  fakeAdmissionStore,
  type FakeAdmissionStore,
  type PendingAcquire,
  type PendingToolCall,
} from "./fake-admission-store.ts";
export { fakeFlagSource, type FakeFlagSource } from "./fake-flag-source.ts";
export {
  delta,
  errorReply,
  fakeProvider,
  textReply,
  valueReply,
  type FakeCall,
  type FakeProvider,
  type FakeProviderOptions,
} from "./fake-provider.ts";
export { recordingSink, type RecordingSink } from "./recording-sink.ts";
export {
  sampleAnswer,
  sampleContract,
  sampleFeature,
  sampleStub,
  type SampleJob,
} from "./sample-feature.ts";
export { FakeClock } from "./fake-clock.ts";
export { realClock } from "./real-clock.ts";
export { seededRandom, type SeededRandom } from "./seeded-random.ts";
export type { AdmissionStoreOptions, CreateAdmissionStore } from "./admission-store/bench.ts";
export { describeAdmissionStore } from "./admission-store/suite.ts";
export {
  runBudgets,
  type BudgetHarness,
  type BudgetStoreOptions,
  type CreateBudgetStore,
  type NamedBudgets,
} from "./budget-store/bench.ts";
export { describeBudgetStore } from "./budget-store/suite.ts";
export {
  startProcess,
  type ProcessEnd,
  type RunningProcess,
  type StartProcessOptions,
} from "./start-process.ts";
export {
  chatCompletion,
  sendJson,
  startUpstream,
  type Upstream,
  type UpstreamAnswer,
  type UpstreamRequest,
} from "./start-upstream.ts";
export type { BreakerHarness, BreakerOptions, CreateBreaker } from "./breaker/bench.ts";
export { describeBreaker } from "./breaker/suite.ts";
export {
  suiteFeatures,
  type FlagSourceAbilities,
  type FlagSourceHarness,
  type OpenFlagSource,
} from "./flag-source/bench.ts";
export { describeFlagSource } from "./flag-source/suite.ts";
export { postgresAnswers, postgresForTests, type TestPostgres } from "./test-postgres.ts";
export { describeOnDatabases, type DatabaseOpeners } from "./describe-on-databases.ts";
export { faultyProxy, type FaultyProxy } from "./faulty-proxy.ts";
export { freePort } from "./free-port.ts";
export {
  findPostgresBin,
  privatePostgres,
  type PrivatePostgres,
  type PrivatePostgresOptions,
} from "./private-postgres.ts";
export {
  findRedisServer,
  lacksRedisServer,
  privateRedis,
  type PrivateRedis,
  type PrivateRedisOptions,
} from "./private-redis.ts";
export {
  privateRedisCluster,
  type PrivateRedisCluster,
  type PrivateRedisClusterOptions,
} from "./private-redis-cluster.ts";
export { runPsql } from "./run-psql.ts";
export { unprivilegedUser, type User } from "./unprivileged-user.ts";
