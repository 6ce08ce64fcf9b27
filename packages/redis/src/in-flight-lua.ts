import type { GateMode } from "@sluice/contract";
import type { InFlightPolicy } from "./policies.ts";
import { setTtlMs } from "./scripts.ts";

/** A set of requests in flight, in a script. What a shadow would have refused is beside the set. */
export interface SetParts {
  readonly name: string;
  readonly key: string;
  readonly policy: InFlightPolicy;
  /** In Lua. */
  readonly limit: number | string;
  readonly mode: GateMode;
  /** What is done for a request that finds no place. */
  readonly refuse: string;
}

/** Its count, exact where it matters, and which of the ids it has already. */
export function openSharedSet({ name, key, limit, mode }: SetParts): string {
  return `local ${name}_n = redis.call('ZCARD', ${key})
local ${name}_add, ${name}_over = {'ZADD', ${key}}, {'ZADD', ${key} .. ':over'}
${
  mode === "off"
    ? ""
    : `if ${name}_n + count > ${limit} then
  redis.call('ZREMRANGEBYSCORE', ${key}, '-inf', nowMs)
  ${name}_n = redis.call('ZCARD', ${key})
end`
}
local ${name}_fresh = ${name}_n == 0
local ${name}_had = redis.call('ZMSCORE', ${key}, unpack(ids))`;
}

export function lookAtSharedSet({ name, limit, mode, refuse }: SetParts): string {
  if (mode === "off") return "";
  return `local ${name}_full = ${name}_n >= ${limit} and not again
    if ${name}_full then
      ${refuse}
    end`;
}

export function takeShared({ name, mode }: SetParts, place: number): string {
  const take = `${name}_n = ${name}_n + 1
      inside = inside + ${2 ** place}
      ${name}_add[#${name}_add + 1] = expiry
      ${name}_add[#${name}_add + 1] = id`;
  if (mode !== "shadow") return take;
  return `if ${name}_full then
      ${name}_over[#${name}_over + 1] = expiry
      ${name}_over[#${name}_over + 1] = id
    else
      ${take}
    end`;
}

export function closeSharedSet({ name, key, mode }: SetParts): string {
  return `if #${name}_add > 2 then
  redis.call(unpack(${name}_add))
  if ${name}_fresh or tidy then redis.call('PEXPIRE', ${key}, ${setTtlMs}) end
end
${
  mode === "shadow"
    ? `if #${name}_over > 2 then
  redis.pcall(unpack(${name}_over))
  redis.call('PEXPIRE', ${key} .. ':over', ${setTtlMs})
end`
    : ""
}
if tidy then
  redis.call('ZREMRANGEBYSCORE', ${key}, '-inf', nowMs)
  redis.pcall('ZREMRANGEBYSCORE', ${key} .. ':over', '-inf', nowMs)
end`;
}

export function readOwnSet({ name, key }: SetParts): string {
  return `local ${name}_n, ${name}_full = redis.pcall('ZCARD', ${key}), false
  if type(${name}_n) == 'table' then bad = true end`;
}

export function lookAtOwnSet({ name, key, limit, mode, refuse }: SetParts): string {
  if (mode === "off") return "";
  return `if ${name}_n >= ${limit} and not again then
      redis.call('ZREMRANGEBYSCORE', ${key}, '-inf', nowMs)
      ${name}_n = redis.call('ZCARD', ${key})
      if ${name}_n >= ${limit} then
        ${name}_full = true
        ${refuse}
      end
    end`;
}

export function takeOwn({ name, key, mode }: SetParts, place: number): string {
  const take = `inside = inside + ${2 ** place}
      redis.call('ZADD', ${key}, expiry, id)
      if ${name}_n == 0 or tidy then redis.call('PEXPIRE', ${key}, ${setTtlMs}) end
      ${name}_n = ${name}_n + 1`;
  if (mode !== "shadow") return take;
  return `if ${name}_full then
      redis.pcall('ZADD', ${key} .. ':over', expiry, id)
      redis.call('PEXPIRE', ${key} .. ':over', ${setTtlMs})
    else
      ${take}
    end`;
}
