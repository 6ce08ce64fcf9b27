import { isDeepStrictEqual } from "node:util";
import type { Outcome, ParityFigures } from "@sluice/contract";
import type { Guard } from "@sluice/guard";
import { readAnswerText } from "./protocols/read-answer-text.ts";
import type { ShadowDefaults } from "./shadow-options.ts";
import { similarityOf } from "./similarity.ts";

/** How the legacy handler's answer ended. */
export interface LegacyAnswer {
  /** Undefined: none was sent, as when the client left. */
  readonly status: number | undefined;
  readonly contentType: string | undefined;
  /** Undefined where it was longer than is compared, or not wanted. */
  readonly body: Uint8Array | undefined;
  /** It was sent to its end. */
  readonly complete: boolean;
  readonly latencyMs: number;
}

interface Mirrored {
  readonly outcome: Outcome<unknown, unknown, unknown>;
  readonly latencyMs: number;
}

/**
 * Figures of the mirror's answer beside the legacy handler's, and nothing of either. Undefined where there
 * are not two to compare.
 */
export function comparedWith(parts: {
  readonly guard: Pick<Guard<never, unknown, unknown, unknown>, "textOf" | "isAnswer">;
  readonly settings: Pick<ShadowDefaults, "equal" | "text" | "fromLegacy">;
}): (mirrored: Mirrored, legacy: LegacyAnswer) => ParityFigures | undefined {
  const { guard, settings } = parts;

  const valueOf = (json: unknown): unknown => {
    if (settings.fromLegacy === undefined) return json;
    try {
      return settings.fromLegacy(json);
    } catch {
      return undefined;
    }
  };

  const textOf = (value: unknown): string => {
    const field = settings.text === undefined ? undefined : fieldOf(value, settings.text);
    if (typeof field === "string") return field;
    return value === undefined ? "" : guard.textOf(value);
  };

  return ({ outcome, latencyMs }, legacy) => {
    const { body, status } = legacy;
    if (!legacy.complete || body === undefined || status === undefined) return undefined;
    const read = readAnswerText(body, legacy.contentType);
    const value = "json" in read ? valueOf(read.json) : undefined;
    const mirror = outcome.status === "SUCCEEDED" ? outcome.value : undefined;
    const mirrorText = textOf(mirror);
    const legacyText = "json" in read ? textOf(value) : read.text;
    const isOk = status >= 200 && status < 300;
    return {
      legacyValid:
        isOk && ("json" in read ? guard.isAnswer(value) : read.complete && read.text !== ""),
      mirrorValid: mirror !== undefined,
      equal: Object.fromEntries(
        settings.equal.map((field) => [
          field,
          isEqual(fieldOf(value, field), fieldOf(mirror, field)),
        ]),
      ),
      lengthDifference: mirrorText.length - legacyText.length,
      latencyDifferenceMs: latencyMs - legacy.latencyMs,
      similarity: similarityOf(legacyText, mirrorText),
    };
  };
}

/** Both have it, and it is the same. */
const isEqual = (one: unknown, other: unknown): boolean =>
  one !== undefined && isDeepStrictEqual(one, other);

const fieldOf = (value: unknown, field: string): unknown =>
  typeof value === "object" && value !== null && Object.hasOwn(value, field)
    ? (value as Readonly<Record<string, unknown>>)[field]
    : undefined;
