interface Preference {
  readonly quality: number;
  /** 3: the type itself, 1: its family, 0: everything. */
  readonly specificity: number;
  readonly order: number;
}

/**
 * Whether an `Accept` names `text/event-stream` before JSON: by quality, then by how closely it is named,
 * then by the order of the header. Source: RFC 9110, section 12.5.1.
 */
export function acceptsEventStream(accept: string | undefined): boolean {
  if (accept === undefined) return false;
  const ranges = accept.split(",").map(toRange);
  const stream = preferenceFor(ranges, "text", "event-stream");
  if (stream === undefined || stream.quality <= 0) return false;
  const json = preferenceFor(ranges, "application", "json");
  if (json === undefined || stream.quality !== json.quality) {
    return stream.quality > (json?.quality ?? 0);
  }
  if (stream.specificity !== json.specificity) return stream.specificity > json.specificity;
  return stream.order < json.order;
}

interface Range {
  readonly type: string;
  readonly subtype: string;
  readonly quality: number;
}

function toRange(text: string): Range {
  const [range = "", ...parameters] = text.split(";");
  const [type = "", subtype = ""] = range.trim().toLowerCase().split("/");
  let quality = 1;
  for (const parameter of parameters) {
    const [name = "", value = ""] = parameter.split("=");
    if (name.trim().toLowerCase() === "q") quality = Number(value.trim());
  }
  return { type, subtype, quality: Number.isFinite(quality) ? quality : 0 };
}

/** Of the closest range that holds the type. */
function preferenceFor(
  ranges: readonly Range[],
  type: string,
  subtype: string,
): Preference | undefined {
  let best: Preference | undefined;
  for (const [order, range] of ranges.entries()) {
    const inFamily = range.type === type;
    if (!inFamily && range.type !== "*") continue;
    if (range.subtype !== "*" && !(inFamily && range.subtype === subtype)) continue;
    const specificity = inFamily ? (range.subtype === subtype ? 3 : 1) : 0;
    if (best === undefined || specificity > best.specificity) {
      best = { quality: range.quality, specificity, order };
    }
  }
  return best;
}
