import { byId, element } from "./dom.js";

const arms = {
  ai: "AI",
  stub: "Stub",
  legacy: "Legacy",
  shadow: "Shadow",
  none: "Before the gates",
};
const verdicts = {
  allow: "allowed",
  reject: "refused",
  would_reject: "would refuse",
  indeterminate: "could not tell",
};

const whole = (number) => Math.round(number).toLocaleString("en");
const duration = (ms) => (ms < 10_000 ? `${whole(ms)} ms` : `${whole(ms / 1000)} s`);

let flag;
let fleet;

/** What this process has heard of the flag, as `/api/state` has it; whether the version is another. */
export function showFlag({ flag: now, shut }) {
  const isNews = now.version !== flag?.version;
  flag = now;
  const says = element("span", `says ${standing(now)}`, saying(now));
  const version = now.version === null ? [] : [`, version ${now.version}`];
  byId("flag-says").replaceChildren(says, ...version);
  byId("flag-origin").textContent = now.origin;
  showHeard(shut);
  return isNews;
}

function standing({ enabled, killed, percent }) {
  if (killed) return "killed";
  return enabled && percent > 0 ? "open" : "closed";
}

function saying({ enabled, killed, percent, listed }) {
  if (killed) return "killed";
  if (!enabled) return "off";
  return listed === null ? `on at ${percent} %` : `on at ${percent} %, with a list of ${listed}`;
}

function showHeard(shut) {
  const { isConfirmed, ageMs, trouble, version } = flag;
  const isBehind = fleet !== undefined && version !== null && version < fleet.version;
  const parts = [version === null ? "follows it" : `follows version ${version}`];
  if (isBehind) parts.push(`has not heard of version ${fleet.version} yet`);
  if (isConfirmed) parts.push(ageMs === null ? "never confirmed" : `confirmed ${ago(ageMs)}`);
  if (trouble !== null) parts.push(`can't confirm it now: ${trouble}`);
  if (shut !== null) parts.push(`shut by ${shut}`);
  byId("flag-heard").textContent = parts.join(", ");
  byId("flag-heard").classList.toggle("behind", isBehind || trouble !== null);
}

const ago = (ms) => `${(ms / 1000).toFixed(1)} s ago`;

/** Asks for what the whole fleet wrote down, and shows it. */
export async function refreshFigures() {
  try {
    const response = await fetch("/api/figures");
    const body = await response.json();
    if (response.ok) show(body);
    else hide(`No figures: ${body.error}.`);
  } catch {
    // The state, which is asked for more often, tells.
  }
}

/** What was heard last may not be so any more. */
export function showSilence() {
  byId("flag-heard").textContent = "does not answer";
  byId("flag-heard").className = "behind";
  hide("No figures: the app does not answer.");
}

export function showNoFigures() {
  hide(
    "Figures are kept in a database. Start the app with SLUICE_FOLDER or DATABASE_URL to see them.",
  );
}

function hide(note) {
  fleet = undefined;
  byId("flag-fleet").textContent = "not known";
  byId("flag-fleet").className = "";
  byId("figures").hidden = true;
  byId("figures-note").textContent = note;
}

function show(figures) {
  fleet = figures.fleet ?? undefined;
  byId("flag-fleet").textContent = fleet === undefined ? "not known" : following(fleet);
  byId("flag-fleet").classList.toggle("behind", fleet !== undefined && fleet.applied < fleet.alive);
  byId("figures-title").textContent = `The last ${figures.minutes} minutes`;
  byId("figures").hidden = figures.arms.length === 0;
  byId("figures-note").textContent =
    figures.arms.length === 0
      ? "Nothing was counted. A closed feature counts nothing; an open one is written every 10 seconds."
      : "Of all processes; written every 10 seconds, and only while the feature is open.";
  for (const body of document.querySelectorAll("#figures tbody")) body.remove();
  document.querySelector("#figures table").append(...figures.arms.map(rowsOf));
}

function following({ version, alive, applied, slowestMs }) {
  const processes = alive === 1 ? "process follows" : "processes follow";
  const last = slowestMs === null ? "" : `, the last ${duration(slowestMs)} after the change`;
  return `${applied} of ${alive} ${processes} version ${version}${last}`;
}

function rowsOf({ arm, provider, requests, succeededShare, p50Ms, p95Ms, admission, http }) {
  const name = element("th", "", arms[arm] ?? arm);
  name.scope = "row";
  if (provider !== "") name.append(" ", element("span", "provider", provider));
  const first = element(
    "tr",
    "",
    name,
    numberCell(whole(requests)),
    numberCell(succeededShare === null ? "–" : `${(100 * succeededShare).toFixed(1)} %`),
    numberCell(p50Ms === null ? "–" : whole(p50Ms)),
    numberCell(p95Ms === null ? "–" : whole(p95Ms)),
  );
  const details = element("td", "details");
  details.colSpan = 5;
  const told = Object.entries(admission).map(([code, n]) => `${verdict(code)} ${whole(n)}`);
  const sent = Object.entries(http).map(([status, n]) => `${status} × ${whole(n)}`);
  if (told.length > 0) details.append(element("span", "", `Admission: ${told.join(", ")}`));
  if (sent.length > 0) details.append(element("span", "", `HTTP: ${sent.join(", ")}`));
  return element("tbody", "", first, element("tr", "", details));
}

const numberCell = (text) => element("td", "number", text);

/** `would_reject.MESSAGE_RATE` as people say it. */
function verdict(code) {
  const [word, reason] = code.split(".");
  const said = verdicts[word] ?? word;
  return reason === undefined ? said : `${said} (${reason})`;
}
