import { parseDurationMs } from "@sluice/policy";

/**
 * How long an answer's headers ask to wait. Sources: RFC 9110, section 10.2.3 (`retry-after`, seconds or
 * a date; fractions are OpenAI's); `retry-after-ms` of Azure and OpenAI; `x-ratelimit-*` of
 * https://platform.openai.com/docs/guides/rate-limits, which Azure fills with -1 where it has none.
 */
export function retryAfterMs(status: number, headers: Headers): number | undefined {
  const milliseconds = amountOf(headers.get("retry-after-ms"));
  if (milliseconds !== undefined) return milliseconds;
  const after = headers.get("retry-after");
  const seconds = amountOf(after);
  if (seconds !== undefined) return seconds * 1000;
  return (
    untilDate(after, headers.get("date")) ?? (status === 429 ? untilReset(headers) : undefined)
  );
}

function amountOf(text: string | null): number | undefined {
  return text !== null && /^\d{1,9}(?:\.\d{1,9})?$/.test(text.trim()) ? Number(text) : undefined;
}

/** Told by the upstream's own clock, so that ours may be wrong. */
function untilDate(until: string | null, now: string | null): number | undefined {
  if (until === null || now === null) return undefined;
  const ms = Date.parse(until) - Date.parse(now);
  return ms >= 0 ? ms : undefined;
}

/** The longest of the limits that are used up. */
function untilReset(headers: Headers): number | undefined {
  const waits = ["requests", "tokens"].flatMap((what) => {
    if (headers.get(`x-ratelimit-remaining-${what}`)?.trim() !== "0") return [];
    const reset = headers.get(`x-ratelimit-reset-${what}`) ?? "";
    const ms = parseDurationMs(reset) ?? parseDurationMs(`${reset}s`);
    return ms === undefined || ms === 0 ? [] : [ms];
  });
  return waits.length === 0 ? undefined : Math.max(...waits);
}
