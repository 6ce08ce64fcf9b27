import { idLength } from "./ids.ts";

/*
 * Subjects' requests in flight: one hash for all subjects of a shard, by subject a list of leases. A lease is
 * when it is over, a double, and its id. A set for each subject would be made, given a time to live and deleted
 * with nearly every request. Field s is how far a look for what a crash left has come, and long enough for
 * Redis to find fields by their hash: of a small one it would read all.
 */
const expiryBytes = 8;
const leaseBytes = expiryBytes + idLength;

/** How many leases are in a list, whether over or not, in Lua. */
export const sizeOf = (list: string): string => `#${list} / ${leaseBytes}`;

/** Longer than any field that Redis keeps in a list. */
const padding = 80;
/** So many subjects are looked at with one decision of many. */
const sweptAtOnce = 200;

/** Needs \`nowMs\`, an integer. */
export const listsLua = `
local function live(list)
  local kept = {}
  for at = 1, #list - ${leaseBytes - 1}, ${leaseBytes} do
    if struct.unpack('<d', list, at) > nowMs then
      kept[#kept + 1] = string.sub(list, at, at + ${leaseBytes - 1})
    end
  end
  return table.concat(kept)
end
-- Where its lease begins.
local function leaseOf(list, id)
  local at = string.find(list, id, 1, true)
  while at and at % ${leaseBytes} ~= ${expiryBytes + 1} do at = string.find(list, id, at + 1, true) end
  return at and at - ${expiryBytes}
end
local function withLease(list, id, expiry)
  local at = leaseOf(list, id)
  if not at then return list .. expiry .. id end
  return string.sub(list, 1, at - 1) .. expiry .. string.sub(list, at + ${expiryBytes})
end
local function withoutLease(list, at)
  return string.sub(list, 1, at - 1) .. string.sub(list, at + ${leaseBytes})
end
local function cursorText(cursor) return string.format('%-${padding}s', cursor) end
-- Lists by subject; whether some was written that is not empty.
local function writeLists(key, lists, cursor)
  local set, gone = {'HSET', key}, {'HDEL', key}
  for subject, list in pairs(lists) do
    if list == '' then
      gone[#gone + 1] = subject
    else
      local n = #set
      set[n + 1], set[n + 2] = subject, list
    end
  end
  if #gone > 2 then redis.call(unpack(gone)) end
  if #set == 2 then return false end
  if not cursor then
    local n = #set
    set[n + 1], set[n + 2] = 's', cursorText('0')
  end
  redis.call(unpack(set))
  return true
end`;

/** Removes leases that are over and that nobody asked for: a part of the subjects at a time. */
export const sweepLua = `
local function sweep(key, cursor)
  local page = redis.call('HSCAN', key, string.match(cursor, '^%d+') or '0', 'COUNT', ${sweptAtOnce})
  local lists = {s = cursorText(page[1])}
  for i = 1, #page[2], 2 do
    local subject, list = page[2][i], page[2][i + 1]
    if #subject > 1 then
      local kept = live(list)
      if #kept < #list then lists[subject] = kept end
    end
  end
  writeLists(key, lists, cursor)
end`;
