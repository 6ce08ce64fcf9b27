import { isEligibleSubject } from "@sluice/policy";
import { expect, it } from "vitest";
import { makeSubjects, neverEligible } from "./verify-subjects.ts";

it("makes up as many subjects as are asked for, all eligible, none twice, the same each time", () => {
  for (const count of [1, 9, 1000, 5000]) {
    const subjects = makeSubjects(count);
    expect(new Set(subjects).size).toBe(count);
    expect(subjects.filter((subject) => !isEligibleSubject(subject))).toEqual([]);
    expect(makeSubjects(count)).toEqual(subjects);
  }
});

it("has pairs that differ in their normal form alone", () => {
  const subjects = new Set(makeSubjects(800));
  const pairs = [...subjects].filter(
    (subject) => subject !== subject.normalize("NFD") && subjects.has(subject.normalize("NFD")),
  );
  expect(pairs).toHaveLength(100);
});

it("knows subjects that are never eligible", () => {
  expect(neverEligible.filter(isEligibleSubject)).toEqual([]);
});
