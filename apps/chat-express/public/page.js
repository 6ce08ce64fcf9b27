const byId = (id) => document.getElementById(id);
const state = byId("state");
const kill = byId("kill");
const log = byId("log");
const form = byId("form");
const text = byId("text");

const messages = [];
let killed = false;

async function refresh() {
  try {
    const now = await (await fetch("/api/state")).json();
    killed = now.shut === "KILLED";
    const gate = !now.gateway
      ? "gateway off, the legacy handler answers"
      : now.shut
        ? `AI path shut: ${now.shut}`
        : `AI path open at ${now.percent} %`;
    state.textContent = `${gate} · model: ${now.upstream} · circuit ${now.breaker}`;
    kill.textContent = killed ? "Restore the AI path" : "Kill the AI path";
    kill.classList.toggle("restore", killed);
    kill.disabled = false;
    const problems = byId("problems");
    problems.hidden = now.problems.length === 0;
    problems.replaceChildren(...now.problems.map((problem) => element("li", "", problem)));
    const counts = Object.entries(now.outcomes).map(([status, count]) => `${status} ${count}`);
    byId("counts").textContent = [...counts, `in flight ${now.inFlight}`].join(" · ");
  } catch {
    state.textContent = "the app does not answer";
    kill.disabled = true;
  }
}

function element(name, className, content) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = content;
  return made;
}

async function reasonOf(decision) {
  if (decision === null) return "the gateway is off";
  const response = await fetch(`/api/decisions/${encodeURIComponent(decision)}`);
  if (!response.ok) return "";
  const note = await response.json();
  return `${note.code ?? note.status} · ${note.latencyMs} ms`;
}

async function send(content) {
  messages.push({ role: "user", content });
  log.append(element("p", "me", content));
  const answer = element("p", "answer", "…");
  log.append(answer);
  const response = await fetch("/api/chat", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ messages }),
  });
  const body = await response.json();
  const failed = body.status === "FAILED" || response.status >= 400;
  const reply = body.reply ?? body.code ?? body.title;
  if (body.reply) messages.push({ role: "assistant", content: body.reply });
  else messages.pop();
  const path = failed ? "failed" : (response.headers.get("sluice-path") ?? "legacy");
  const why = element("span", "why", "");
  why.append(
    element("span", `path ${path}`, path === "ai" ? "AI" : path),
    ` ${await reasonOf(response.headers.get("sluice-decision"))}`,
  );
  answer.replaceChildren(String(reply), why);
  why.scrollIntoView({ block: "end" });
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const content = text.value.trim();
  if (content === "") return;
  text.value = "";
  try {
    await send(content);
  } catch {
    log.append(element("p", "answer", "The app does not answer."));
  }
  await refresh();
});

kill.addEventListener("click", async () => {
  kill.disabled = true;
  await fetch(killed ? "/api/restore" : "/api/kill", { method: "POST" });
  await refresh();
});

await refresh();
setInterval(refresh, 1000);
