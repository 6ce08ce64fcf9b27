import type { AdmissionStore, Clock } from "@sluice/contract";
import { admit, admitTool, type AdmissionLimits, type RateDimension } from "@sluice/policy";
import { describePlantedFaults } from "../describe-planted-faults.ts";
import type { AdmissionStoreOptions, CreateAdmissionStore } from "./bench.ts";
import { admissionStoreChecks } from "./suite.ts";

/** One way each in which a store can be wrong. */
const faults = [
  "one too many per subject",
  "one too many in all",
  "subjects share their places",
  "names cut at a colon",
  "release frees every time",
  "release frees nothing",
  "leases never expire",
  "leases expire early",
  "renewal does nothing",
  "renewal spoils the order of expiry",
  "renewal revives",
  "evicts to make room",
  "room is never given back",
  "burst is one more",
  "rate never refills",
  "rate saves up without end",
  "retry time is a guess",
  "release gives the rate back",
  "refused takes a token",
  "refused takes a place",
  "shadow refuses",
  "shadow says nothing",
  "shadow takes places it would have refused",
  "off still refuses",
  "mode defaults to shadow",
  "refusal forgets the shadow",
  "describes nothing",
  "tool calls have no rate",
  "tool burst is one more",
  "tool rate is each subject's own",
  "tool rate saves up without end",
  "tool retry time is a guess",
  "tool calls take the rate of messages",
  "tool rate in shadow refuses",
  "tool rate in shadow says nothing",
  "tool rate in shadow takes what it would have refused",
  "tool rate that is off refuses",
  "tool rate defaults to shadow",
  "modes of a request are not taken",
  "mode of a tool call is not taken",
  "there is no store apart",
  "a store apart counts along",
  "a store apart has other limits",
  "a store apart has no rate of tool calls",
  "a store apart closes both",
] as const;
type Fault = (typeof faults)[number];

/** A plain store, right but for one planted fault. */
function planted(fault?: Fault): CreateAdmissionStore {
  return (options, clock) => {
    const has = (one: Fault): boolean => fault === one;
    const limits = limitsOf(options, fault);
    const maxLeases = options.maxLeases ?? Number.POSITIVE_INFINITY;
    let leases: { subject: string; user: boolean; global: boolean; endsMs: number }[] = [];
    let tatMs = 0;
    let taken = 0;
    const toolRate = toolRateOf(options, fault);
    const toolTats = new Map<string, number>();
    const lifeMs = has("leases expire early") ? options.leaseMs / 2 : options.leaseMs;
    const store: AdmissionStore = {
      name: "planted",
      leaseMs: options.leaseMs,
      acquire(given, ask) {
        const nowMs = clock.monotonicMs();
        const subject = has("names cut at a colon") ? (given.split(":")[0] ?? "") : given;
        if (has("renewal spoils the order of expiry")) {
          while ((leases[0]?.endsMs ?? Number.POSITIVE_INFINITY) <= nowMs) leases.shift();
        } else if (!has("leases never expire")) {
          leases = leases.filter((lease) => lease.endsMs > nowMs);
        }
        if (has("room is never given back") && taken >= maxLeases) return "unavailable";
        if (leases.length >= maxLeases) {
          if (!has("evicts to make room")) return "unavailable";
          leases.shift();
        }
        const same = has("subjects share their places") ? () => true : isOf(subject);
        const counts = {
          user: leases.filter((lease) => lease.user && same(lease)).length,
          global: leases.filter((lease) => lease.global).length,
          tatMs,
        };
        const modes = has("modes of a request are not taken") ? undefined : ask?.modes;
        const verdict = admit(counts, limits, nowMs, modes);
        const lease = {
          subject,
          user: verdict.takesUser || has("shadow takes places it would have refused"),
          global: verdict.takesGlobal || has("shadow takes places it would have refused"),
          endsMs: nowMs + lifeMs,
        };
        const { refused } = verdict;
        const wouldRefuse = has("shadow says nothing") ? [] : verdict.wouldRefuse;
        if (refused !== undefined) {
          if (has("refused takes a token")) tatMs = Math.max(tatMs, nowMs) + 1000;
          if (has("refused takes a place")) leases.push(lease);
          return {
            admitted: false,
            reason: refused.reason,
            retryAfterMs: has("retry time is a guess") ? 1000 : refused.retryAfterMs,
            wouldRefuse: has("refusal forgets the shadow") ? [] : wouldRefuse,
          };
        }
        const before = tatMs;
        if (!(has("rate never refills") && tatMs > 0)) tatMs = verdict.tatMs;
        if (has("rate never refills")) tatMs = Math.max(verdict.tatMs, before + 1e9);
        if (has("rate saves up without end")) tatMs = before + (verdict.tatMs - nowMs) / 2;
        leases.push(lease);
        taken += 1;
        return {
          admitted: true,
          wouldRefuse,
          lease: {
            release() {
              if (has("release gives the rate back")) tatMs = before;
              if (has("release frees nothing")) return;
              const at = leases.indexOf(lease);
              if (at >= 0) leases.splice(at, 1);
              else if (has("release frees every time")) leases.shift();
            },
            renew() {
              if (has("renewal does nothing")) return;
              const known = leases.includes(lease) && lease.endsMs > clock.monotonicMs();
              if (known) lease.endsMs = clock.monotonicMs() + lifeMs;
              else if (has("renewal revives"))
                leases.push({ ...lease, endsMs: clock.monotonicMs() + lifeMs });
            },
          },
        };
      },
      takeTool(subject, mode) {
        const nowMs = clock.monotonicMs();
        if (has("tool calls have no rate")) return { allowed: true };
        const key = has("tool rate is each subject's own") ? subject : "all";
        const before = toolTats.get(key) ?? 0;
        const its = has("mode of a tool call is not taken") ? undefined : mode;
        const verdict = admitTool(before, toolRate, nowMs, its);
        const { reply } = verdict;
        const wouldRefuse = reply.allowed && reply.would !== undefined;
        let after = verdict.tatMs;
        if (has("tool rate saves up without end") && after > before) {
          after = before + (after - nowMs) / 2;
        }
        if (has("tool rate in shadow takes what it would have refused") && wouldRefuse) {
          after += 1000;
        }
        toolTats.set(key, after);
        if (has("tool calls take the rate of messages")) tatMs = Math.max(tatMs, nowMs) + 60_000;
        if (has("tool rate in shadow says nothing") && wouldRefuse) return { allowed: true };
        if (reply.allowed || !has("tool retry time is a guess")) return reply;
        return { ...reply, retryAfterMs: 1000 };
      },
      describe: () =>
        has("describes nothing")
          ? []
          : [
              `user ${limits.userInFlight?.limit} ${limits.userInFlight?.mode}`,
              `global ${limits.globalInFlight?.limit} ${limits.globalInFlight?.mode}`,
              `rate ${limits.messageRate?.count} ${limits.messageRate?.mode}`,
              `tools ${toolRate?.count} ${toolRate?.mode}`,
            ],
      close: () => void (leases = []),
    };
    if (has("there is no store apart")) return { store };
    return { store: { ...store, apart: () => apartOf(store, options, clock, fault) } };
  };
}

function apartOf(
  store: AdmissionStore,
  options: AdmissionStoreOptions,
  clock: Clock,
  fault: Fault | undefined,
): AdmissionStore {
  if (fault === "a store apart counts along") return { ...store, close: () => undefined };
  const like = (from: AdmissionStoreOptions): AdmissionStore => {
    const harness = planted()(from, clock);
    if (harness instanceof Promise) throw new Error("a plain store is there at once");
    return harness.store;
  };
  if (fault === "a store apart has other limits") return like({ leaseMs: options.leaseMs });
  const apart = like(options);
  if (fault === "a store apart closes both") {
    return { ...apart, close: () => store.close() };
  }
  if (fault !== "a store apart has no rate of tool calls") return apart;
  return { ...apart, takeTool: () => ({ allowed: true }) };
}

const isOf = (subject: string) => (lease: { readonly subject: string }) =>
  lease.subject === subject;

function limitsOf(options: AdmissionStoreOptions, fault: Fault | undefined): AdmissionLimits {
  const modeOf = (given: "off" | "shadow" | "enforce" | undefined) => {
    if (given === undefined) return fault === "mode defaults to shadow" ? "shadow" : "enforce";
    if (given === "shadow" && fault === "shadow refuses") return "enforce";
    return given === "off" && fault === "off still refuses" ? "enforce" : given;
  };
  const { userInFlight, globalInFlight, messageRate } = options;
  const more = (one: Fault): number => (fault === one ? 1 : 0);
  return {
    userInFlight: userInFlight && {
      limit: userInFlight.limit + more("one too many per subject"),
      mode: modeOf(userInFlight.mode),
    },
    globalInFlight: globalInFlight && {
      limit: globalInFlight.limit + more("one too many in all"),
      mode: modeOf(globalInFlight.mode),
    },
    messageRate: messageRate && {
      ...messageRate,
      burst: messageRate.burst + more("burst is one more"),
      mode: modeOf(messageRate.mode),
    },
  };
}

function toolRateOf(
  { toolRate }: AdmissionStoreOptions,
  fault: Fault | undefined,
): RateDimension | undefined {
  if (toolRate === undefined) return undefined;
  const burst = toolRate.burst + (fault === "tool burst is one more" ? 1 : 0);
  let mode = toolRate.mode ?? (fault === "tool rate defaults to shadow" ? "shadow" : "enforce");
  if (mode === "shadow" && fault === "tool rate in shadow refuses") mode = "enforce";
  if (mode === "off" && fault === "tool rate that is off refuses") mode = "enforce";
  return { ...toolRate, burst, mode };
}

describePlantedFaults({
  name: "the suite of admission stores",
  checks: admissionStoreChecks,
  faults,
  planted,
});
