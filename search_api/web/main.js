// The page: reads the address, asks, draws; every action makes a new address.

import { below, PAGE, fields, holdings, look, search } from "./api.js";
import { DetailDialog } from "./detail.js";
import { button, counted, el, figure, fill } from "./dom.js";
import { DropZone } from "./drop.js";
import { FacetPanel, shownFields } from "./facets.js";
import { imageCard, studyCard } from "./results.js";
import { fromAddress, hasChoices, toAddress, unrestricted } from "./state.js";
import { Suggestions } from "./suggest.js";
import { drawChips, drawUnderstood } from "./understood.js";

const $ = (id) => document.getElementById(id);
const files = new Map(); // a dropped file cannot be in the address: the history entry has its number
const labels = new Map();
const known = new Map();
const index = { embedded: 0 };
const shown = { key: null, why: new Map(), k: PAGE };
let state = fromAddress(location.search);
let controller = new AbortController();

const file = () => files.get(history.state?.file) ?? null;
const isLook = () => Boolean(file() || state.like);

/** Goes where an edit of the state leads; number: the dropped file that the new entry looks for. */
function navigate(edit, number = history.state?.file) {
  const next = edit(state);
  history.pushState({ file: next.like ? undefined : number }, "", toAddress(next));
  show(next);
}

function take(dropped) {
  const number = files.size + 1;
  files.set(number, dropped);
  navigate((now) => ({ ...now, level: "images", like: null, open: null }), number);
}

const withoutExample = () => navigate((now) => ({ ...now, like: null, rank: "look" }), null);

async function show(next) {
  state = { ...next, level: next.level ?? (index.embedded > 0 ? "images" : "studies") };
  drawForm();
  detail.draw(state, shown.why.get(state.open));
  const key = JSON.stringify([{ ...state, open: null }, history.state?.file]);
  if (key === shown.key) return;
  shown.key = key;
  shown.k = PAGE;
  await load();
}

function drawForm() {
  suggestions.close();
  $("q").value = state.q;
  $("narrower").checked = state.expand !== "none";
  $("sort").value = state.sort;
  $("sorting").hidden = isLook(); // look-alikes are ordered by look
  for (const input of $("level").querySelectorAll("input")) {
    input.checked = input.value === state.level;
    input.disabled = isLook() && input.value === "studies";
  }
  zone.draw(state, file());
  document.title = state.q ? `${state.q}: Hooke` : "Hooke: search biological images";
}

async function load() {
  controller.abort();
  controller = new AbortController();
  const { signal } = controller;
  $("results").setAttribute("aria-busy", "true");
  fill($("count"), "Searching…");
  $("error").hidden = true;
  try {
    await (isLook() ? loadLook(signal) : loadSearch(signal));
  } catch (error) {
    if (error.name === "AbortError") return;
    drawError(error);
  }
  $("results").removeAttribute("aria-busy");
}

async function loadSearch(signal) {
  const facets = shownFields(state, await fieldsOf(state.level));
  const answer = await search(state, { facets, signal });
  draw(answer, counted(answer.total, ...(state.level === "images" ? ["image"] : ["study", "studies"])), answer.facets);
  drawMore(answer.cursor);
}

async function loadLook(signal) {
  const facets = shownFields(state, await fieldsOf("images"));
  // the counts beside the filters are of the candidates; those of the hits say how the look-alikes split
  const [answer, candidates] = await Promise.all([
    look(state, file(), { facets, k: shown.k, signal }),
    search(state, { facets, limit: 1, withText: state.rank === "look", signal }),
  ]);
  draw(answer, described(answer), candidates.facets, answer.facets);
  if (answer.meaningful === 0 && answer.hits.length > 0) $("hits").prepend(unlike());
  const left = answer.hits.length === shown.k && answer.hits.length < answer.candidates;
  fill($("more"), left && button("More look-alikes", moreLook, { class: "primary", "data-key": "more" }));
}

function described(answer) {
  const how = answer.exact ? "exact" : "approximate";
  const hits = state.rank === "combined" ? `${counted(answer.hits.length, "image")} by look and words` : counted(answer.hits.length, "look-alike");
  const alike = answer.meaningful > 0 ? `, ${figure(answer.meaningful)} more alike than chance explains` : "";
  return `${hits}: ${how}, ${counted(answer.candidates, "candidate")}${alike}`;
}

function unlike() {
  return el("div", { class: "nothing" },
    el("p", {}, el("b", {}, "Nothing here is meaningfully similar."), " These are the nearest images, but no more alike than chance explains among so many."));
}

function draw(answer, count, facets, among = null) {
  for (const value of Object.values(facets).flat()) labels.set(value.id, value.label);
  for (const term of answer.query.terms) labels.set(term.id, term.label).set(term.text, term.label);
  shown.why = new Map();
  drawUnderstood($("understood"), state, answer.query, navigate);
  drawChips($("chips"), state, labels, navigate);
  panel.draw(state, known.get(state.level), facets, among);
  fill($("count"), count);
  $("hits").className = state.level;
  fill($("hits"), ...cards(answer.hits), answer.hits.length === 0 && nothing());
  drawFiltersButton();
}

function drawFiltersButton() {
  const open = document.body.classList.contains("filtering");
  $("filters-button").setAttribute("aria-expanded", String(open));
  $("filters-button").textContent = open ? "Hide filters" : hasChoices(state) ? "Filters (some chosen)" : "Filters";
}

function cards(hits) {
  for (const hit of hits) shown.why.set(hit.id, hit.why);
  const card = state.level === "images" ? imageCard : studyCard;
  return hits.map((hit) => card(hit, state, navigate, index.embedded > 0));
}

function drawMore(cursor) {
  fill($("more"), cursor && button("More results", () => more(cursor), { class: "primary", "data-key": "more" }));
}

async function more(cursor) {
  const { signal } = controller;
  try {
    const answer = await search(state, { cursor, signal });
    $("hits").append(...cards(answer.hits));
    drawMore(answer.cursor);
  } catch (error) {
    if (error.name !== "AbortError") drawError(error, { keep: true });
  }
}

async function moreLook() {
  shown.k += PAGE;
  await load();
}

function drawError(error, { keep = false } = {}) {
  fill($("error"), error.message);
  $("error").hidden = false;
  fill($("more"));
  if (keep) return;
  drawChips($("chips"), state, labels, navigate);
  fill($("count"));
  fill($("hits"));
  fill($("understood"));
}

function nothing() {
  const other = state.level === "images" ? "studies" : "images";
  return el("div", { class: "nothing" },
    el("p", {}, "Nothing matches all of this. You can:"),
    el("ul", {},
      hasChoices(state) && el("li", {}, button("drop the filters", () => navigate(unrestricted), { class: "link" })),
      state.expand === "none" && el("li", {}, button("include narrower terms", () => navigate((now) => ({ ...now, expand: "" })), { class: "link" })),
      state.q && !isLook() && el("li", {}, button(`look among ${other}`, () => navigate((now) => ({ ...now, level: other })), { class: "link" })),
      state.q && el("li", {}, "use fewer words, or ", button("drop the words", () => navigate((now) => ({ ...now, q: "" })), { class: "link" }))));
}

async function fieldsOf(level) {
  if (!known.has(level)) known.set(level, await fields(level));
  return known.get(level);
}

const submitted = () => navigate((now) => ({ ...now, q: $("q").value.trim(), open: null }));

function listen() {
  $("search").addEventListener("submit", (event) => {
    event.preventDefault();
    submitted();
  });
  $("q").addEventListener("search", () => $("q").value.trim() !== state.q && submitted());
  $("level").addEventListener("change", (event) => navigate((now) => ({ ...now, level: event.target.value, q: $("q").value.trim() })));
  $("narrower").addEventListener("change", (event) => navigate((now) => ({ ...now, expand: event.target.checked ? "" : "none" })));
  $("sort").addEventListener("change", (event) => navigate((now) => ({ ...now, sort: event.target.value })));
  $("filters-button").addEventListener("click", () => {
    document.body.classList.toggle("filtering");
    drawFiltersButton();
    document.querySelector("main").scrollIntoView();
  });
  window.addEventListener("popstate", () => show(fromAddress(location.search)));
}

async function start() {
  listen();
  try {
    Object.assign(index, await holdings());
    $("drop").hidden = index.embedded === 0;
    $("holds").textContent = `${counted(index.images, "image")}, ${figure(index.embedded)} with pixels, in ${counted(index.studies, "study", "studies")}`;
  } catch (error) {
    drawError(error);
  }
  await show(state);
}

const suggestions = new Suggestions($("q"), $("suggestions"), () => state.level ?? "images");
const zone = new DropZone($("drop"), { take, navigate, back: withoutExample });
const panel = new FacetPanel($("facets"), labels, navigate, (field, parent) =>
  below(state, field, parent, { withText: !isLook() || state.rank === "look" }));
const detail = new DetailDialog($("detail"), navigate);
start();
