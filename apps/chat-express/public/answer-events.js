import { element } from "./dom.js";

/**
 * Shows an answer as it flows: its text, and the tools that the model calls. Gives the value of the last
 * event.
 */
export async function readAnswer(stream, text, tools, onChange) {
  const calls = new Map();
  let read = "";
  let last;
  for await (const event of eventsOf(stream)) {
    last = event;
    if (event.type === "text-delta") {
      read += event.text;
      text.textContent = read;
    } else if (event.type === "tool-call") {
      const result = element("span", "result", "…");
      calls.set(event.id, result);
      tools.append(toolOf(event, result));
    } else if (event.type === "tool-result") {
      calls.get(event.id)?.replaceChildren(event.output);
    }
    onChange();
  }
  if (last?.type === "finish") return last.value;
  // What ends without its last event was cut, and is no answer; what was read stays to be seen.
  return { status: "FAILED", code: `${read}… (not complete: ${last?.code ?? "cut off"})` };
}

function toolOf({ name, input }, result) {
  const asked = element("span", "asked", `${name} ${JSON.stringify(input)}`);
  return element("span", "tool", element("span", "label", "Tool"), " ", asked, " → ", result);
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
