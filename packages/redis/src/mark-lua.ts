import type { Keys } from "./keys.ts";

/**
 * A shadow that would have refused takes nothing, so nothing in its dimension tells of it: the answer itself is
 * kept beside the counts, for a second run under the same id. In two hashes that take turns, each of a lease
 * time, so that they end without anybody who clears them.
 */
export const marksKey = (keys: Keys): string => `${keys.globalInFlight}:would`;

/** @param key where the marks of all are */
export function openMarks(key: string, leaseMs: number, ids: string): string {
  return `local turn = math.floor(nowMs / ${leaseMs})
local marks = {'HSET', ${key} .. ':' .. turn}
local marked = redis.pcall('HMGET', marks[2], ${ids})
local markedBefore = redis.pcall('HMGET', ${key} .. ':' .. turn - 1, ${ids})`;
}

export const readMark = `local mark = marked[r] or markedBefore[r]
  if mark then again = true end`;

/** Once the answer stands in the reply. */
export function answerMarked(length: number): string {
  return `if mark then
      local place = at
      for figure in string.gmatch(mark, '%S+') do
        place = place + 1
        reply[place] = tonumber(figure)
      end
    elseif would > 0 and refused == 0 then
      local figures = {}
      for i = 1, ${length} do figures[i] = string.format('%.0f', reply[at + i]) end
      marks[#marks + 1] = id
      marks[#marks + 1] = table.concat(figures, ' ')
    end`;
}

/** What stands there of somebody else's is left alone: a mark is a help, and no count. */
export function closeMarks(leaseMs: number): string {
  return `if #marks > 2 and type(redis.pcall(unpack(marks))) ~= 'table' then
  redis.call('PEXPIRE', marks[2], ${leaseMs * 2})
end`;
}
