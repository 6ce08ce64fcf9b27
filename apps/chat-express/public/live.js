import { byId, element } from "./dom.js";

const paths = { ai: "AI", legacy: "legacy", stub: "stub", refused: "refused", failed: "failed" };
const effects = { allow: "let in", divert: "diverted", reject: "refused" };
const ends = {
  SUCCEEDED: "answered",
  FAILED: "failed",
  STUBBED: "over the cap",
  REJECTED: "refused",
};
const causes = {
  busy: "too many at once",
  too_large: "too long",
  unread: "body not read",
  invalid: "no chat",
  failed: "something failed",
};
const limits = {
  user_in_flight: "this visitor's answers",
  global_in_flight: "all answers",
  message_rate: "messages",
};

/** What the process has counted, as `/api/state` has it. */
export function showCounts({ counts, underWay, inFlight }) {
  const { answers, refused, wouldRefuse, shadow } = counts;
  byId("counts").textContent = `${words(answers, paths, "no answer yet")} · in flight ${inFlight}`;
  show("Answers", words(answers, paths, "none yet"));
  show("Refused by limit", words(refused, {}, "nobody"));
  show("Would have refused", words(wouldRefuse, {}, "nobody"));
  show("Shadow: checked", words(shadow.checked, effects, "none"));
  show("Shadow: mirrored", mirrored(shadow));
  show("Shadow: skipped", words(underWay.skipped, causes, "none"));
  show(
    "Under way now",
    `${inFlight} let in · ${underWay.answers} being answered · ${underWay.watched} watched · ${underWay.mirrors} mirrored`,
  );
  show("Limits when last asked", counts.limits.map(used).join(" · ") || "nobody was counted yet");
}

const used = ({ limit, used: taken, of }) => `${limits[limit] ?? limit} ${taken} of ${of}`;

function mirrored({ mirrored: counts, compared }) {
  const told = words(counts, ends, "none");
  return compared === 0 ? told : `${told} · compared ${compared}`;
}

function words(counts, names, otherwise) {
  const told = Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${names[name] ?? name} ${count}`);
  return told.length === 0 ? otherwise : told.join(" · ");
}

const values = new Map();

function show(term, value) {
  let told = values.get(term);
  if (told === undefined) {
    told = element("dd", "");
    values.set(term, told);
    byId("live").append(element("dt", "", term), told);
  }
  if (told.textContent !== value) told.textContent = value;
}
