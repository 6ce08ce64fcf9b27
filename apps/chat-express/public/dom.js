export const byId = (id) => document.getElementById(id);

export function element(name, className, ...content) {
  const made = document.createElement(name);
  made.className = className;
  made.append(...content);
  return made;
}

/** What stands already is not written again: it would be read out again. */
export function setText(id, text) {
  const part = byId(id);
  if (part.textContent !== text) part.textContent = text;
}
