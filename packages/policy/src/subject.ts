const maxBytes = 1024;
const encoder = new TextEncoder();

/**
 * Whether eligibility can be decided for a subject at all: not empty, no NUL, no lone surrogate (both
 * would hash differently in SQL, or not at all), at most 1 KiB in UTF-8.
 */
export function isEligibleSubject(subject: unknown): subject is string {
  if (typeof subject !== "string" || subject.length === 0 || subject.length > maxBytes)
    return false;
  if (subject.includes("\0") || !subject.isWellFormed()) return false;
  // A UTF-16 unit takes at most three bytes, so most subjects need no count.
  return subject.length * 3 <= maxBytes || encoder.encode(subject).length <= maxBytes;
}
