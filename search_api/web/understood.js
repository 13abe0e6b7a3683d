// What the query was understood to mean, and what is chosen.

import { button, el, fill, spoken } from "./dom.js";
import { bounded, hasChoices, toggled, unrestricted } from "./state.js";

export function drawUnderstood(element, state, report, navigate) {
  // the terms of chosen facets are shown as chips already
  const typed = report.terms.filter((term) => state.q.includes(term.text));
  fill(
    element,
    typed.length > 0 && el("p", {}, "Understood ", typed.map((term) => termPill(term))),
    ...report.rewrites.map((rewrite) => el("p", {}, `${rewrite.given} is now ${rewrite.label} (${rewrite.id}): ${reasonOf(rewrite)}`)),
    ...unknown(report, navigate),
    ...report.notices.map((notice) => el("p", { class: "notice" }, notice)),
  );
}

const REWRITES = { alt_id: "another id of the same term", replaced_by: "the old term was replaced" };
const reasonOf = (rewrite) => REWRITES[rewrite.reason] ?? spoken(rewrite.reason);

function termPill(term) {
  return el("span", { class: "pill", title: `${spoken(term.method)}, in ${term.ontology}` }, `${term.text.replace(/[,;.]+$/, "")} = `, el("b", {}, term.label), " ", el("code", {}, term.id));
}

function unknown(report, navigate) {
  const texts = [...new Set([...report.unresolved, ...report.suggestions.map((suggestion) => suggestion.text)])];
  return texts.map((text) => {
    const meant = report.suggestions.filter((suggestion) => suggestion.text === text);
    return el(
      "p",
      { class: "notice" },
      report.unresolved.includes(text) ? `Not found: “${text}”. ` : `“${text}” is obsolete. `,
      meant.length > 0 && "Did you mean ",
      meant.map((suggestion) =>
        button(suggestion.label, () => navigate((now) => corrected(now, suggestion)), { class: "suggestion", title: suggestion.id })),
    );
  });
}

/** The state with the words that were not found replaced, wherever they stand. */
export function corrected(state, { text, label, id }) {
  if (state.q.includes(text)) return { ...state, q: state.q.replace(text, () => label) };
  for (const field of Object.keys(state.wanted))
    if (state.wanted[field].includes(text)) return toggled(toggled(state, "wanted", field, text), "wanted", field, id);
  return { ...state, q: label };
}

const SIGNS = { gte: "≥", gt: ">", lte: "≤", lt: "<" };

/** What is chosen, as chips that remove it. */
export function drawChips(element, state, labels, navigate) {
  const chips = [];
  for (const group of ["wanted", "unwanted"])
    for (const [field, values] of Object.entries(state[group]))
      for (const value of values)
        chips.push(chip(`${spoken(field)}: ${group === "unwanted" ? "not " : ""}${labels.get(value) ?? value}`, group, () =>
          navigate((now) => toggled(now, group, field, value))));
  for (const [name, value] of Object.entries(state.bounds)) {
    const [field, bound] = [name.slice(0, name.lastIndexOf(".")), name.slice(name.lastIndexOf(".") + 1)];
    chips.push(chip(`${spoken(field)} ${SIGNS[bound]} ${value}`, "wanted", () => navigate((now) => bounded(now, name, ""))));
  }
  if (hasChoices(state)) chips.push(button("Clear all filters", () => navigate(unrestricted), { class: "link" }));
  fill(element, ...chips);
}

function chip(text, group, remove) {
  return button(el("span", {}, text), remove, { class: `chip ${group}`, "aria-label": `Remove the filter ${text}` });
}
