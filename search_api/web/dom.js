// Building elements. Data only ever becomes text nodes and attributes, so that no value can bring markup along.

export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Replace what an element holds; the focus returns to the element with the same data-key. */
export function fill(element, ...children) {
  const active = document.activeElement;
  const key = element.contains(active) ? active.dataset.key : undefined;
  element.replaceChildren(...children.flat(Infinity).filter(Boolean));
  if (key) element.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}

export function button(text, onclick, attributes = {}) {
  return el("button", { type: "button", onclick, ...attributes }, text);
}

/** A value as text, or as a link where it is a web address and nothing else. */
export function valueOf(text) {
  if (!/^https?:\/\/\S+$/.test(text)) return text;
  return el("a", { href: text, target: "_blank", rel: "noopener noreferrer" }, text);
}

export const spoken = (field) => field.replaceAll("_", " ");

export const titled = (field) => {
  const words = spoken(field);
  return words.charAt(0).toUpperCase() + words.slice(1);
};

const numbers = new Intl.NumberFormat("en");
export const counted = (count, one, many = `${one}s`) => `${numbers.format(count)} ${count === 1 ? one : many}`;
export const figure = (count) => numbers.format(count);
