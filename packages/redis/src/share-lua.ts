import type { InFlightPolicy, RatePolicy, SharedLimits } from "./policies.ts";

/** The shares of one shard, in a script: its limits are read once for all decisions of a turn. */
export interface ShareParts {
  readonly key: string;
  readonly limits: SharedLimits;
  readonly inFlight: readonly Named<InFlightPolicy>[];
  readonly rates: readonly Named<RatePolicy>[];
}

interface Named<Policy> {
  readonly name: string;
  readonly policy: Policy;
}

/** One that has no share waits until somebody gave it one. */
const waitWithoutShareMs = 1000;

/** Limits by name: nothing where there is no share. A candidate's is as large a part of its own limit. */
export function openShares({ key, limits, inFlight, rates }: ShareParts): string {
  const { places, rate } = limits;
  const lacks = [
    ...(places === undefined ? [] : ["not share[1]"]),
    ...(rate === undefined ? [] : ["not share[2]"]),
  ].join(" or ");
  return [
    `local share = redis.call('HMGET', ${key}, 'p', 'b', 'x', 'm', 'y')`,
    "local share_p, share_b, share_x, share_m, share_y = tonumber(share[1] or 0), tonumber(share[2] or 0), 0, 0, 0",
    `local lacks = (${lacks}) and 1 or 0`,
    ...inFlight.map(({ name, policy: { limit, isCandidate } }) =>
      isCandidate
        ? `local ${name}_limit = math.ceil(${limit} * share_p / ${places})`
        : `local ${name}_limit = share_p`,
    ),
    ...rates.flatMap(({ name, policy: { burst, isCandidate, emissionMs } }) => [
      isCandidate
        ? `local ${name}_burst = ${burst} * share_b / ${rate?.burst}`
        : `local ${name}_burst = share_b`,
      `local ${name}_emission = ${emissionMs * burst} / ${name}_burst`,
    ]),
  ].join("\n");
}

/**
 * What a rate says of one more. As rounding holds nobody up, so it lets nobody through twice: a rate may be at
 * most half a message behind, and stays so.
 */
export const lookAtSharedRate = ({ name, policy }: Named<RatePolicy>): string =>
  `local ${name}_next, ${name}_late = nil, ${waitWithoutShareMs}
    if ${name}_burst > 0 then
      local tolerance, emission = ${policy.emissionMs * policy.burst}, ${name}_emission
      local upper = now + tolerance
      local slack = math.min(2.220446049250313e-16 * upper * (${name}_burst + 1), emission / 2)
      local tat = math.max(math.min(${name}_tat, upper + slack), now)
      ${name}_late = tat + emission - upper
      if ${name}_late <= slack then ${name}_next, ${name}_late = tat + emission, 0 end
      if ${name}_late > emission then ${name}_late = emission end
    end`;

/** As if the rest of the limit were in use: what is left of it is what is left here. */
export const countOfShare = ({ name, policy }: Named<InFlightPolicy>): string =>
  `${policy.limit} - ${name}_limit + ${name}_n`;

/** How far ahead the whole rate would be, in µs, with as many messages left as here. */
export function aheadOfShare({ name, policy: { burst, emissionMs } }: Named<RatePolicy>): string {
  const tolerance = emissionMs * burst;
  return `math.floor((${tolerance} - (${tolerance} - math.min(math.max(${name}_tat - now, 0), ${tolerance})) * ${name}_burst / ${burst}) * 1000 + 0.5)`;
}

/** What tells of demand, for who splits the limits next. Not where a share is gone: it would be a hash without an end. */
export const closeShares = ({ key }: ShareParts): string =>
  `if (share[1] or share[2]) and share_x + share_m + share_y > 0 then
  redis.call('HSET', ${key}, 'x', (share[3] or 0) + share_x, 'm', (share[4] or 0) + share_m, 'y', (share[5] or 0) + share_y)
end
reply[#reply + 1] = lacks`;
