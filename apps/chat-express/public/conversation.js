import { readAnswer } from "./answer-events.js";
import { byId, element } from "./dom.js";
import { refusalOf } from "./sentences.js";

const log = byId("log");

/** What is sent of the conversation: an app of this kind takes no more than 100 messages. */
const maxSent = 20;
const messages = [];
const underWay = new Set();
/** What the page last heard: an answer of the legacy handler says nothing of the gateway. */
let stage = "legacy";

export const noteStage = (now) => void (stage = now);

/** Asks, and shows the answer. */
export async function say(content) {
  messages.push({ role: "user", content });
  const reply = await exchange(content, messages.slice(-maxSent));
  if (reply === undefined) messages.pop();
  else messages.push({ role: "assistant", content: reply });
}

/** Asks something that the conversation does not remember. */
export const sayAside = (content) => exchange(content, [{ role: "user", content }]);

/** Ends whatever is being answered. */
export function stopAll() {
  for (const stopping of underWay) stopping.abort();
}

export function showTrouble(text) {
  log.append(element("p", "answer trouble", text));
  showLast();
}

/** Resolves with the reply; undefined where there is none. */
async function exchange(content, asked) {
  log.append(element("p", "me", content));
  const text = element("span", "", "…");
  const tools = element("span", "tools");
  const answer = element("p", "answer", tools, text);
  answer.setAttribute("aria-busy", "true");
  log.append(answer);
  showLast();
  const stopping = new AbortController();
  underWay.add(stopping);
  try {
    return await ask(asked, { answer, tools, text, signal: stopping.signal });
  } catch {
    const told = text.textContent === "…" ? "" : text.textContent;
    if (stopping.signal.aborted) end(answer, text, `${told}… (stopped)`, "stopped", "by you");
    else text.textContent = told === "" ? "The app does not answer." : `${told}… (the app is gone)`;
    return undefined;
  } finally {
    underWay.delete(stopping);
    answer.removeAttribute("aria-busy");
    showLast();
  }
}

async function ask(asked, { answer, tools, text, signal }) {
  const response = await fetch("/api/chat", {
    method: "POST",
    headers: { "content-type": "application/json", accept: "text/event-stream, application/json" },
    body: JSON.stringify({ messages: asked }),
    signal,
  });
  const flows = response.headers.get("content-type")?.startsWith("text/event-stream");
  const body = flows
    ? await readAnswer(response.body, text, tools, showLast)
    : await response.json();
  const why = await reasonOf(response.headers.get("sluice-decision"));
  if (response.status === 429 || response.status === 503) {
    const sentence = refusalOf(body, response.headers.get("retry-after"));
    end(answer, text, sentence, "refused", why === "" ? (body.reason ?? "") : why);
    return undefined;
  }
  const failed = body.status === "FAILED" || body.reply === undefined || response.status >= 400;
  const reply = String(body.reply ?? body.code ?? body.title ?? body.error);
  const path = failed ? "failed" : (response.headers.get("sluice-path") ?? "legacy");
  end(answer, text, reply, path, why);
  return failed ? undefined : reply;
}

function end(answer, text, reply, path, why) {
  text.textContent = reply;
  const label = element("span", `path ${path}`, path === "ai" ? "AI" : path);
  answer.append(element("span", "why", label, ` ${why}`));
}

async function reasonOf(decision) {
  if (decision === null) {
    return stage === "shadow" ? "the gateway watches" : "the gateway is off";
  }
  const response = await fetch(`/api/decisions/${encodeURIComponent(decision)}`);
  if (!response.ok) return "";
  const note = await response.json();
  const by = note.provider === null ? "" : ` by ${note.provider}`;
  const instead = note.fallback ? " (stood in)" : "";
  const first = note.firstContentMs === null ? "" : ` · first word ${note.firstContentMs} ms`;
  return `${note.code ?? note.status}${by}${instead}${first} · ${note.latencyMs} ms`;
}

/** The conversation alone is scrolled: somebody may be reading the figures below it. */
function showLast() {
  log.scrollTop = log.scrollHeight;
}
