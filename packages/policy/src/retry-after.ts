import { parseDurationMs } from "./parse-duration.ts";

/** `Headers` of fetch, or whatever else gives a header by its lower-case name. */
type AnswerHeaders = Pick<Headers, "get">;

/**
 * How long an answer's headers ask to wait. Sources: RFC 9110, section 10.2.3 (`retry-after`, seconds or
 * a date; fractions are OpenAI's); `retry-after-ms` of Azure and OpenAI; `x-ratelimit-*` of
 * https://platform.openai.com/docs/guides/rate-limits, which Azure fills with -1 where it has none.
 */
export function retryAfterMs(status: number, headers: AnswerHeaders): number | undefined {
  const milliseconds = amountOf(headers.get("retry-after-ms"));
  if (milliseconds !== undefined) return Math.min(milliseconds, longMs);
  const after = headers.get("retry-after");
  const seconds = amountOf(after);
  if (seconds !== undefined) return Math.min(seconds * 1000, longMs);
  return (
    untilDate(after, headers.get("date")) ?? (status === 429 ? untilReset(headers) : undefined)
  );
}

/** Parsing dates finds one in nearly anything. */
const httpDate = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? /;
/** Longer than anyone waits: whoever does has a limit of their own. */
const longMs = 86_400_000;

function amountOf(text: string | null): number | undefined {
  return text !== null && /^\d+(?:\.\d+)?$/.test(text.trim()) ? Number(text) : undefined;
}

/** Told by the upstream's own clock, so that ours may be wrong. A date alone says only that there is one. */
function untilDate(until: string | null, now: string | null): number | undefined {
  const at = until !== null && httpDate.test(until) ? Date.parse(until) : Number.NaN;
  if (Number.isNaN(at)) return undefined;
  const date = now === null ? Number.NaN : Date.parse(now);
  if (Number.isNaN(date)) return longMs;
  return at >= date ? at - date : undefined;
}

/** The longest of the limits that are used up. */
function untilReset(headers: AnswerHeaders): number | undefined {
  const waits = ["requests", "tokens"].flatMap((what) => {
    if (headers.get(`x-ratelimit-remaining-${what}`)?.trim() !== "0") return [];
    const reset = headers.get(`x-ratelimit-reset-${what}`) ?? "";
    const ms = parseDurationMs(reset) ?? parseDurationMs(`${reset}s`);
    return ms === undefined || ms === 0 ? [] : [ms];
  });
  return waits.length === 0 ? undefined : Math.max(...waits);
}
