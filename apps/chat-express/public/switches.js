import { byId, element, setText } from "./dom.js";
import { stageTexts, switchTexts } from "./switch-texts.js";

/** How long a flip may take to be heard of: what widens has to stand in the file for a moment. */
const patienceMs = 3000;
const rows = new Map();
let values = {};

/** The stage and each switch, as `/api/state` has them. */
export function showGateway({ stage, mirrorShare, switches }, onFlip) {
  const [name, says] = stageTexts[stage](mirrorShare);
  setText("stage-name", name);
  setText("stage-says", says);
  setText("switches-origin", originOf(switches));
  values = switches.values;
  for (const [variable, [title, sayingOf]] of Object.entries(switchTexts)) {
    if (!rows.has(variable)) rows.set(variable, addRow(variable, title, onFlip));
    const { says: sentence, button, stands } = rows.get(variable);
    const isOn = values[variable];
    const saying = sayingOf(values, switches.limits);
    if (sentence.textContent !== saying) sentence.textContent = saying;
    button.setAttribute("aria-checked", String(isOn));
    button.hidden = !switches.writable;
    stands.hidden = switches.writable;
    for (const part of [button, stands]) part.textContent = isOn ? "On" : "Off";
    for (const part of [button, stands]) part.classList.toggle("on", isOn);
  }
}

function originOf({ origin, writable }) {
  return writable
    ? `The switches stand in ${origin}; a button writes it there.`
    : `The switches stand in ${origin}. They can't be changed from here.`;
}

function addRow(variable, title, onFlip) {
  const name = element("span", "title", title);
  name.id = `title-${variable}`;
  const says = element("span", "says-what");
  says.id = `says-${variable}`;
  const button = element("button", "switch");
  button.type = "button";
  button.id = variable;
  button.setAttribute("role", "switch");
  button.setAttribute("aria-labelledby", name.id);
  button.setAttribute("aria-describedby", says.id);
  button.addEventListener("click", () => flip(variable, button, onFlip));
  const stands = element("span", "stands");
  const text = element("div", "text", name, element("code", "", variable), says);
  byId("switches").append(element("li", "", text, button, stands));
  return { says, button, stands };
}

async function flip(variable, button, onFlip) {
  const wanted = !values[variable];
  button.setAttribute("aria-disabled", "true");
  let trouble = await write(variable, wanted);
  if (trouble === "") {
    const giveUpMs = performance.now() + patienceMs;
    do await onFlip();
    while (values[variable] !== wanted && performance.now() < giveUpMs);
    if (values[variable] !== wanted) trouble = `${variable} is written, but not heard of yet`;
  }
  setText("switches-trouble", trouble);
  button.removeAttribute("aria-disabled");
}

/** Resolves with what went wrong. */
async function write(variable, on) {
  try {
    const response = await fetch(`/api/switches/${variable}/${on ? "on" : "off"}`, {
      method: "POST",
    });
    return response.ok ? "" : (await response.json()).error;
  } catch {
    return "the app does not answer";
  }
}
