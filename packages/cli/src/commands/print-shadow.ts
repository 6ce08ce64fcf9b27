import { printPairs, printTable, type Cell } from "../print-table.ts";
import type { ShadowFigures } from "./shadow-figures.ts";
import type { Quantiles, ShadowParity } from "./shadow-parity.ts";
import type { Rate, Share } from "./shadow-rate.ts";

export interface ShadowReport extends ShadowFigures {
  readonly feature: string;
  readonly since: string;
  readonly until: string;
  readonly promoteAt: number;
}

/** Tables for people; a table without a row is left out. */
export function printShadow(report: ShadowReport): string {
  const { feature, since, until, requests, effects, reasons, admission, mirror, parity } = report;
  return [
    printPairs([
      ["feature", feature],
      ["since", since],
      ["until", until],
      ["requests", requests],
      ["mirrored", mirror.runs],
      ["compared", parity?.comparisons ?? 0],
    ]),
    printShares(
      "gates say",
      Object.entries(effects).map(([name, of]) => ({ name, ...of })),
    ),
    printShares("reason", reasons),
    printRates(
      "admission would block",
      admission.wouldBlock.map((blocked) => [blocked.name, blocked]),
    ),
    printShares("admission could not tell", admission.indeterminate),
    printShares("mirror", mirror.outcomes),
    printShares("mirror's failure", mirror.failures),
    ...(parity === null ? [] : printParity(parity, report.promoteAt)),
  ]
    .filter((text) => text !== "")
    .join("\n");
}

function printShares(title: string, shares: readonly Share[]): string {
  if (shares.length === 0) return "";
  return printTable(
    [title, "requests", "share"],
    shares.map(({ name, count, share }) => [name, count, percent(share)]),
  );
}

const rateHeader = ["of", "rate", "95 % from", "to"];

function printRates(title: string, rates: readonly (readonly [name: string, Rate])[]): string {
  if (rates.length === 0) return "";
  return printTable(
    [title, "requests", ...rateHeader],
    rates.map(([name, rate]) => [name, ...rateCells(rate)]),
  );
}

function printParity(parity: ShadowParity, promoteAt: number): readonly string[] {
  const { legacyValid, mirrorValid, fields } = parity;
  return [
    printTable(
      ["meets the contract", "answers", ...rateHeader],
      [
        ["legacy", ...rateCells(legacyValid)],
        ["mirror", ...rateCells(mirrorValid)],
      ],
    ),
    fields.length === 0
      ? ""
      : printTable(
          ["equal field", "answers", ...rateHeader, `needed for ${percent(promoteAt)}`],
          fields.map((field) => [field.field, ...rateCells(field), field.needed]),
        ),
    printTable(
      ["mirror less legacy", "answers", "p10", "p50", "p95"],
      [
        ["characters", ...quantileCells(parity.lengthDifference, 0)],
        ["milliseconds", ...quantileCells(parity.latencyDifferenceMs, 0)],
      ],
    ),
    printTable(
      ["alike, 0 to 1", "answers", "p10", "p50", "p95"],
      [["similarity", ...quantileCells(parity.similarity, 2)]],
    ),
  ];
}

const rateCells = ({ count, of, rate, low, high }: Rate): readonly Cell[] => [
  count,
  of,
  rate === null ? null : percent(rate),
  percent(low),
  percent(high),
];

const quantileCells = ({ samples, p10, p50, p95 }: Quantiles, digits: number): readonly Cell[] => [
  samples,
  ...[p10, p50, p95].map((value) => (value === null ? null : withDigits(value, digits))),
];

/** Never `-0`. */
const withDigits = (value: number, digits: number): string =>
  value.toFixed(digits).replace(/^-(?=[0.]+$)/, "");

/** Rounded down, so that what is short of all is not shown as all. */
const percent = (part: number): string =>
  `${(Math.floor(part * 10_000 + 1e-9) / 100).toFixed(2)} %`;
