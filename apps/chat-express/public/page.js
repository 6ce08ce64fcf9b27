import { byId, element } from "./dom.js";
import { refreshFigures, showFlag, showNoFigures, showSilence } from "./figures.js";

const state = byId("state");
const kill = byId("kill");
const breakButton = byId("break");
const log = byId("log");
const form = byId("form");
const text = byId("text");
const sendButton = byId("send");

/** What is sent of the conversation: an app of this kind takes no more than 100 messages. */
const maxSent = 20;
const messages = [];
let killed = false;
let hasFigures = false;

async function refresh() {
  try {
    const now = await (await fetch("/api/state")).json();
    killed = now.shut === "KILLED";
    const gate = !now.gateway
      ? "gateway off, the legacy handler answers"
      : now.shut
        ? `AI path shut: ${now.shut}`
        : `AI path open at ${now.percent} %`;
    const providers = now.providers.map(({ provider, state: its }) => `${provider} ${its}`);
    state.textContent = [
      gate,
      `model: ${now.upstream}`,
      ...providers,
      `failover ${now.failover ? "on" : "off"}`,
    ].join(" · ");
    breakButton.hidden = now.broken === null;
    breakButton.textContent = now.broken ? "Mend the first provider" : "Break the first provider";
    breakButton.classList.toggle("restore", now.broken === true);
    kill.textContent = killed ? "Restore the AI path" : "Kill the AI path";
    kill.classList.toggle("restore", killed);
    kill.disabled = false;
    const problems = byId("problems");
    problems.hidden = now.problems.length === 0;
    problems.replaceChildren(...now.problems.map((problem) => element("li", "", problem)));
    const counts = Object.entries(now.outcomes).map(([status, count]) => `${status} ${count}`);
    byId("counts").textContent = [...counts, `in flight ${now.inFlight}`].join(" · ");
    hasFigures = now.figures;
    const isNews = showFlag(now);
    if (!hasFigures) showNoFigures();
    else if (isNews) void refreshFigures();
  } catch {
    state.textContent = "the app does not answer";
    kill.disabled = true;
    showSilence();
  }
}

async function reasonOf(decision) {
  if (decision === null) return "the gateway is off";
  const response = await fetch(`/api/decisions/${encodeURIComponent(decision)}`);
  if (!response.ok) return "";
  const note = await response.json();
  const by = note.provider === null ? "" : ` by ${note.provider}`;
  const instead = note.fallback ? " (stood in)" : "";
  return `${note.code ?? note.status}${by}${instead} · ${note.latencyMs} ms`;
}

async function send(content) {
  messages.push({ role: "user", content });
  log.append(element("p", "me", content));
  const answer = element("p", "answer", "…");
  log.append(answer);
  showLast();
  try {
    await ask(answer);
  } catch {
    messages.pop();
    answer.textContent = "The app does not answer.";
  }
  showLast();
}

/** The conversation alone is scrolled: somebody may be reading the figures below it. */
function showLast() {
  log.scrollTop = log.scrollHeight;
}

async function ask(answer) {
  const response = await fetch("/api/chat", {
    method: "POST",
    headers: { "content-type": "application/json", accept: "text/event-stream, application/json" },
    body: JSON.stringify({ messages: messages.slice(-maxSent) }),
  });
  const flows = response.headers.get("content-type")?.startsWith("text/event-stream");
  const body = flows ? await readAnswer(response.body, answer) : await response.json();
  const failed = body.status === "FAILED" || body.reply === undefined || response.status >= 400;
  const reply = body.reply ?? body.code ?? body.title ?? body.error;
  const path = failed ? "failed" : (response.headers.get("sluice-path") ?? "legacy");
  const why = element("span", "why", "");
  why.append(
    element("span", `path ${path}`, path === "ai" ? "AI" : path),
    ` ${await reasonOf(response.headers.get("sluice-decision"))}`,
  );
  answer.replaceChildren(String(reply), why);
  if (body.reply) messages.push({ role: "assistant", content: body.reply });
  else messages.pop();
}

/** Shows the text as it flows; gives the value of the last event. */
async function readAnswer(stream, answer) {
  let read = "";
  let last;
  for await (const event of eventsOf(stream)) {
    last = event;
    if (event.type !== "text-delta") continue;
    read += event.text;
    answer.textContent = read;
    showLast();
  }
  if (last?.type === "finish") return last.value;
  // What ends without its last event was cut, and is no answer; what was read stays to be seen.
  return { status: "FAILED", code: `${read}… (not complete: ${last?.code ?? "cut off"})` };
}

async function* eventsOf(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    const events = (rest + next.value).split("\n\n");
    rest = events.pop();
    for (const event of events) yield JSON.parse(event.replace(/^data: /, ""));
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const content = text.value.trim();
  // One after the other, as in any conversation.
  if (content === "" || sendButton.disabled) return;
  text.value = "";
  sendButton.disabled = true;
  await send(content);
  sendButton.disabled = false;
  await refresh();
});

kill.addEventListener("click", async () => {
  kill.disabled = true;
  let trouble = "";
  try {
    const response = await fetch(killed ? "/api/restore" : "/api/kill", { method: "POST" });
    if (!response.ok) trouble = (await response.json()).error;
  } catch {
    trouble = "the app does not answer";
  }
  if (trouble !== "") log.append(element("p", "answer trouble", trouble));
  await refresh();
});

breakButton.addEventListener("click", async () => {
  await fetch("/api/break", { method: "POST" });
  await refresh();
});

await refresh();
setInterval(refresh, 1000);
setInterval(() => hasFigures && refreshFigures(), 5000);
