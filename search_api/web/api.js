// The server's answers. Anything but an answer becomes a Problem with one line of text.

import { restrictions } from "./state.js";

export class Problem extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Of each facet; what is below a value comes when it is opened, where there are more. */
export const FACET_VALUES = 200;
export const PAGE = 24;

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { headers: { Accept: "application/json" }, ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The server does not answer: is it running, and is the file not too large?", 0);
  }
  if (response.ok) return response.json();
  const body = await response.json().catch(() => ({}));
  throw new Problem(body.detail ?? `The server answered ${response.status}`, response.status);
}

const get = (path, pairs = [], signal = undefined) => ask(`${path}?${new URLSearchParams(pairs)}`, { signal });

export function search(state, { facets = [], cursor = null, limit = PAGE, withText = true, signal } = {}) {
  const pairs = [...restrictions(state, { withText }), ["limit", limit]];
  if (facets.length) pairs.push(["facets", facets.join(",")], ["facet_limit", FACET_VALUES]);
  if (state.sort) pairs.push(["sort", state.sort]);
  if (cursor) pairs.push(["cursor", cursor]);
  return get(`/v1/search/${state.level}`, pairs, signal);
}

/** The k images most like a file or an indexed image, among those that the state allows. */
export function look(state, file, { facets = [], k = PAGE, signal } = {}) {
  const form = new FormData();
  if (file) form.append("file", file);
  else form.append("positive", state.like);
  for (const [name, value] of restrictions(state)) form.append(name, value);
  form.append("k", k);
  if (state.exclude && !file) form.append("exclude", state.exclude); // an upload is of no study
  if (state.group) form.append("group", state.group);
  if (facets.length) form.append("facets", facets.join(","));
  const path = state.rank === "combined" ? "combined" : "similar";
  return ask(`/v1/search/${path}`, { method: "POST", body: form, signal });
}

const LEVELS = { images: "image", studies: "study" };
const SUGGESTED = 8;

/** The values right below a term, or with an empty parent at the top, as the flat facet has them. */
export async function below(state, field, parent, { withText = true } = {}) {
  const pairs = [...restrictions(state, { withText }), ["level", LEVELS[state.level]], ["parent", parent]];
  const answer = await get(`/v1/facets/${encodeURIComponent(field)}`, pairs);
  return answer.values.map((value) => ({ ...value, parents: parent ? [parent] : [], leaf: value.children === 0 }));
}

export const complete = (text, level, signal) =>
  get("/v1/autocomplete", [["q", text], ["level", LEVELS[level]], ["limit", SUGGESTED]], signal);
export const imagesOf = (study, limit) => get("/v1/search/images", [["facet.accession", study], ["limit", limit]]);
export const fields = (level) => get("/v1/fields", [["level", LEVELS[level]]]);
export const holdings = () => get("/v1/index/state");
export const detail = (level, id) => get(`/v1/${level}/${encodeURIComponent(id)}`);
export const thumbnail = (id) => `/v1/images/${encodeURIComponent(id)}/thumbnail`;
