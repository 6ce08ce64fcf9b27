import type { AdmissionLease, AdmissionReply, SharedReservation } from "@sluice/contract";
import { redisAdmission, type RedisAdmission, type RedisAdmissionOptions } from "@sluice/redis";
import type { Opener } from "./admission-world.ts";

/** One way each in which admission of a fleet can be wrong. */
export const faults = [
  "releases twice",
  "release frees nothing",
  "forgets a settle",
  "settles whole",
  "void counts the call",
  "a further call is free",
  "a refused one takes a place",
  "grants all or nothing",
  "one too many in all",
  "one too many of a subject",
  "leases live too long",
  "leases live too short",
  "renewal does nothing",
  "nothing is told anew after a loss",
  "reservations have no end",
  "a second run counts again",
  "a script that Redis does not know is not sent",
  "the day ends elsewhere",
  "modes of a request are not heard",
  "a process does not tell how it stands with others",
] as const;
export type Fault = (typeof faults)[number];

type Store = Pick<RedisAdmission, "acquire">;

/** Stores that are right but for one fault. */
export function planted(fault?: Fault): Opener {
  const has = (one: Fault): boolean => fault === one;
  const ownNamespaces = new Set<string>();
  return {
    open(given, timeMs) {
      const store = redisAdmission(spoiltOptions(given, has, ownNamespaces), timeMs);
      const held: AdmissionLease[] = [];
      return {
        ...store,
        acquire: async (subject, ask) => {
          const heard = has("modes of a request are not heard")
            ? { ...ask, modes: undefined }
            : ask;
          const reply = await store.acquire(subject, withWholeGrant(heard, has));
          if (reply === "unavailable") return reply;
          if (!reply.admitted) {
            if (has("a refused one takes a place")) await takePlace(store, subject);
            return reply;
          }
          held.push(reply.lease);
          return spoiltReply(reply, held, has);
        },
      };
    },
    ...(has("a second run counts again") && {
      secondRun: (args) =>
        args.map((arg) =>
          typeof arg === "string" && isId.test(arg) ? `again${arg.slice(5)}` : arg,
        ),
    }),
  };
}

/** A process, hashed, and a counter: other than the hash of a subject, whose length differs. */
const isId = /^[A-Za-z0-9_-]{11}[0-9a-z]{9}$/;

const unknownScript = (): Promise<never> => Promise.reject(new Error("NOSCRIPT"));

function spoiltOptions(
  given: RedisAdmissionOptions,
  has: (one: Fault) => boolean,
  seen: Set<string>,
): RedisAdmissionOptions {
  const { client, leaseMs = 0, userInFlight, globalInFlight } = given;
  if (has("one too many in all") && globalInFlight !== undefined) {
    return { ...given, globalInFlight: { ...globalInFlight, limit: globalInFlight.limit + 1 } };
  }
  if (has("one too many of a subject") && userInFlight !== undefined) {
    return { ...given, userInFlight: { ...userInFlight, limit: userInFlight.limit + 1 } };
  }
  if (has("leases live too long")) return { ...given, leaseMs: leaseMs + 1 };
  if (has("leases live too short")) return { ...given, leaseMs: leaseMs - 1 };
  if (has("nothing is told anew after a loss")) return { ...given, heartbeat: false };
  if (has("reservations have no end")) return { ...given, reservationMs: 86_400_000 };
  if (has("the day ends elsewhere")) return { ...given, timeZone: "Pacific/Kiritimati" };
  if (has("a script that Redis does not know is not sent")) {
    return { ...given, client: { ...client, status: "ready", eval: unknownScript } };
  }
  if (has("a process does not tell how it stands with others")) {
    const isFirst = seen.size % 2 === 0;
    seen.add(given.instanceId);
    return isFirst ? given : { ...given, namespace: `${given.namespace}-other` };
  }
  return given;
}

const withWholeGrant = (
  ask: Parameters<Store["acquire"]>[1],
  has: (one: Fault) => boolean,
): Parameters<Store["acquire"]>[1] => {
  if (!has("grants all or nothing") || ask?.budget === undefined) return ask;
  return { ...ask, budget: { ...ask.budget, minOutputTokens: ask.budget.outputTokens } };
};

async function takePlace(store: Store, subject: string): Promise<void> {
  await store.acquire(subject, {
    modes: { user_in_flight: "off", global_in_flight: "off", message_rate: "off" },
  });
}

function spoiltReply(
  reply: Extract<AdmissionReply, { admitted: true }>,
  held: AdmissionLease[],
  has: (one: Fault) => boolean,
): AdmissionReply {
  const { lease, reservation } = reply;
  let isReleased = false;
  return {
    ...reply,
    lease: {
      release() {
        if (has("release frees nothing")) return;
        const at = held.indexOf(lease);
        if (at >= 0) held.splice(at, 1);
        if (isReleased && has("releases twice")) held.pop()?.release();
        isReleased = true;
        lease.release();
      },
      renew() {
        if (!has("renewal does nothing")) lease.renew();
      },
    },
    reservation: reservation && spoiltReservation(reservation, has),
  };
}

function spoiltReservation(
  reservation: SharedReservation,
  has: (one: Fault) => boolean,
): SharedReservation {
  return {
    ...reservation,
    settle(usage) {
      if (has("forgets a settle")) return;
      reservation.settle(has("settles whole") ? undefined : usage);
    },
    void() {
      if (has("void counts the call")) reservation.settle({ inputTokens: 0, outputTokens: 0 });
      else reservation.void();
    },
    async further(ask) {
      const reply = await reservation.further(ask);
      if (has("a further call is free") && reply !== "unavailable" && reply.granted) {
        reply.reservation.void();
      }
      return reply;
    },
  };
}
