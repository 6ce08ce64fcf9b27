import { noteStage, say, sayAside, showTrouble, stopAll } from "./conversation.js";
import { byId, element, setText } from "./dom.js";
import { refreshFigures, showFlag, showNoFigures, showSilence } from "./figures.js";
import { showCounts } from "./live.js";
import { showGateway } from "./switches.js";

const kill = byId("kill");
const breakButton = byId("break");
const text = byId("text");
const sendButton = byId("send");
const stopButton = byId("stop");
const burstButton = byId("burst");

let killed = false;
let hasFigures = false;
let problems = "";

async function refresh() {
  try {
    const now = await (await fetch("/api/state")).json();
    noteStage(now.stage);
    killed = now.shut === "KILLED";
    setText("state", stateOf(now));
    breakButton.hidden = now.broken === null;
    setText("break", now.broken ? "Mend the first provider" : "Break the first provider");
    breakButton.classList.toggle("restore", now.broken === true);
    setText("kill", killed ? "Restore the AI path" : "Kill the AI path");
    kill.classList.toggle("restore", killed);
    kill.disabled = false;
    showProblems(now.problems);
    showGateway(now, refresh);
    showCounts(now);
    hasFigures = now.figures;
    const isNews = showFlag(now);
    if (!hasFigures) showNoFigures();
    else if (isNews) void refreshFigures();
  } catch {
    setText("state", "the app does not answer");
    kill.disabled = true;
    showSilence();
  }
}

function stateOf({ stage, shut, percent, upstream, providers }) {
  const path = shut ? `AI path shut: ${shut}` : `AI path open at ${percent} %`;
  const gate = {
    legacy: "gateway off, the legacy handler answers",
    shadow: `shadow, the legacy handler answers · ${path}`,
    authoritative: path,
  };
  const states = providers.map(({ provider, state: its }) => `${provider} ${its}`);
  return [gate[stage], `model: ${upstream}`, ...states].join(" · ");
}

function showProblems(now) {
  if (problems === now.join("\n")) return;
  problems = now.join("\n");
  byId("problems").hidden = now.length === 0;
  byId("problems").replaceChildren(...now.map((problem) => element("li", "", problem)));
}

/** One after the other, as in any conversation; what is under way can be stopped. */
async function whileAsking(work) {
  if (sendButton.disabled) return;
  for (const button of [sendButton, burstButton]) button.disabled = true;
  sendButton.hidden = true;
  stopButton.hidden = false;
  await work();
  const hadFocus = document.activeElement === stopButton;
  stopButton.hidden = true;
  sendButton.hidden = false;
  for (const button of [sendButton, burstButton]) button.disabled = false;
  if (hadFocus) text.focus();
  await refresh();
}

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const content = text.value.trim();
  if (content === "" || sendButton.disabled) return;
  text.value = "";
  void whileAsking(() => say(content));
});

stopButton.addEventListener("click", stopAll);

/** A browser holds six connections to one host: the last one is for the state, and for the kill. */
const atOnce = 5;

burstButton.addEventListener("click", () =>
  whileAsking(() =>
    Promise.all(Array.from({ length: atOnce }, (_, i) => sayAside(`Question ${i + 1} of five`))),
  ),
);

kill.addEventListener("click", async () => {
  kill.disabled = true;
  let trouble = "";
  try {
    const response = await fetch(killed ? "/api/restore" : "/api/kill", { method: "POST" });
    if (!response.ok) trouble = (await response.json()).error;
  } catch {
    trouble = "the app does not answer";
  }
  if (trouble !== "") showTrouble(trouble);
  await refresh();
});

breakButton.addEventListener("click", async () => {
  await fetch("/api/break", { method: "POST" });
  await refresh();
});

await refresh();
setInterval(refresh, 1000);
setInterval(() => hasFigures && refreshFigures(), 5000);
