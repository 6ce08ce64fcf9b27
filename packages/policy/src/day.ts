/** The day in a time zone, as `2026-11-28`, and when it ends. */
export interface Day {
  readonly name: string;
  readonly endsMs: number;
}

const hourMs = 3_600_000;

/** Whether the runtime knows the zone. */
export function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).format(0) !== "";
  } catch {
    return false;
  }
}

/**
 * Tells days apart by one time zone. Within a day it only compares numbers.
 * @param zone an IANA name
 */
export function dayTeller(zone: string): (wallMs: number) => Day {
  const format = new Intl.DateTimeFormat("sv-SE", {
    timeZone: zone,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
  });
  let day: Day = { name: "", endsMs: 0 };
  let startsMs = 0;

  /** The first millisecond after `from` that is of another day; days may be 23 or 25 hours long. */
  const endOf = (name: string, from: number): number => {
    let low = from;
    let high = from + hourMs;
    while (format.format(high) === name) {
      low = high;
      high += hourMs;
    }
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (format.format(middle) === name) low = middle;
      else high = middle;
    }
    return high;
  };

  return (wallMs) => {
    if (wallMs >= startsMs && wallMs < day.endsMs) return day;
    const name = format.format(wallMs);
    startsMs = wallMs;
    day = { name, endsMs: endOf(name, Math.floor(wallMs)) };
    return day;
  };
}
