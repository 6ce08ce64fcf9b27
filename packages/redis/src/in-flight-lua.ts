import type { GateMode } from "@sluice/contract";
import { sizeOf } from "./lists-lua.ts";
import type { InFlightPolicy } from "./policies.ts";
import { setTtlMs } from "./scripts.ts";

/** Requests in flight, in a script: a set of all, or the lists of subjects. What a shadow would have refused is in neither. */
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
export function openSharedSet({ name, key, limit, mode }: SetParts, ids: string): string {
  return `local ${name}_n = redis.call('ZCARD', ${key})
local ${name}_add = {'ZADD', ${key}}
${
  mode === "off"
    ? ""
    : `if ${name}_n + count > ${limit} then
  redis.call('ZREMRANGEBYSCORE', ${key}, '-inf', nowMs)
  ${name}_n = redis.call('ZCARD', ${key})
end`
}
local ${name}_fresh = ${name}_n == 0
local ${name}_had = redis.call('ZMSCORE', ${key}, ${ids})`;
}

export function lookAtSharedSet({ name, limit, mode, refuse }: SetParts): string {
  if (mode === "off") return "";
  return `local ${name}_full = ${name}_n >= ${limit} and not again
    if ${name}_full then
      ${refuse}
    end`;
}

export function takeShared(set: SetParts, place: number): string {
  const { name } = set;
  return unlessFull(
    set,
    `${name}_n = ${name}_n + 1
      inside = inside + ${2 ** place}
      ${name}_add[#${name}_add + 1] = expiry
      ${name}_add[#${name}_add + 1] = id`,
  );
}

export function closeSharedSet({ name, key }: SetParts): string {
  return `if #${name}_add > 2 then
  redis.call(unpack(${name}_add))
  if ${name}_fresh or tidy then redis.call('PEXPIRE', ${key}, ${setTtlMs}) end
end
if tidy then redis.call('ZREMRANGEBYSCORE', ${key}, '-inf', nowMs) end`;
}

export function openOwnLists({ name, key }: SetParts, subjects: string): string {
  return `local ${name}_read = redis.call('HMGET', ${key}, 's', ${subjects})
local ${name}_now, ${name}_set = {}, {'HSET', ${key}}`;
}

export function lookAtOwnList({ name, limit, mode, refuse }: SetParts): string {
  const look = `local ${name}_list = ${name}_now[subject] or ${name}_read[r + 1] or ''
    local ${name}_n, ${name}_full = ${sizeOf(`${name}_list`)}, false`;
  if (mode === "off") return look;
  return `${look}
    if ${name}_n >= ${limit} and not again then
      ${name}_list = live(${name}_list)
      ${name}_n = ${sizeOf(`${name}_list`)}
      if ${name}_n >= ${limit} then
        ${name}_full = true
        ${refuse}
      end
    end`;
}

export function takeOwn(set: SetParts, place: number): string {
  const { name } = set;
  return unlessFull(
    set,
    `inside = inside + ${2 ** place}
      ${name}_list, ${name}_n = ${name}_list .. packedExpiry .. id, ${name}_n + 1
      ${name}_now[subject] = ${name}_list
      local n = #${name}_set
      ${name}_set[n + 1], ${name}_set[n + 2] = subject, ${name}_list`,
  );
}

export function closeOwnLists({ name, key }: SetParts): string {
  return `if #${name}_set > 2 then
  local isFresh = not ${name}_read[1]
  if isFresh then
    local n = #${name}_set
    ${name}_set[n + 1], ${name}_set[n + 2] = 's', cursorText('0')
  end
  redis.call(unpack(${name}_set))
  if isFresh or tidy then redis.call('PEXPIRE', ${key}, ${setTtlMs}) end
end
if tidy and ${name}_read[1] then sweep(${key}, ${name}_read[1]) end`;
}

function unlessFull({ name, mode }: SetParts, take: string): string {
  if (mode !== "shadow") return `do\n      ${take}\n      end`;
  return `if not ${name}_full then
      ${take}
    end`;
}
