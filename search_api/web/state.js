// What is asked, as an immutable object, and the address that says the same. The names are the API's.

export const NOTHING = Object.freeze({
  level: null,
  q: "",
  expand: "",
  sort: "",
  wanted: {},
  unwanted: {},
  bounds: {},
  like: null,
  rank: "look",
  exclude: "",
  group: "",
  show: [],
  open: null,
});

const BOUND = /\.(gte|gt|lte|lt)$/;

export function fromAddress(query) {
  const state = { ...NOTHING, wanted: {}, unwanted: {}, bounds: {}, show: [] };
  for (const [name, value] of new URLSearchParams(query)) {
    if (name.startsWith("facet.")) {
      const negated = name.endsWith(".not");
      const group = negated ? state.unwanted : state.wanted;
      const field = name.slice(6, negated ? -4 : undefined);
      group[field] = [...(group[field] ?? []), value];
    } else if (BOUND.test(name)) state.bounds[name] = value;
    else if (name === "show") state.show.push(value);
    else if (name === "level" && ["images", "studies"].includes(value)) state.level = value;
    else if (name === "rank") state.rank = value === "combined" ? "combined" : "look";
    else if (["exclude", "group"].includes(name)) state[name] = value === "study" ? "study" : "";
    else if (["q", "expand", "sort", "like", "open"].includes(name)) state[name] = value;
  }
  return state;
}

export function toAddress(state) {
  const pairs = new URLSearchParams();
  if (state.level) pairs.append("level", state.level);
  for (const [name, value] of restrictions(state)) pairs.append(name, value);
  if (state.sort) pairs.append("sort", state.sort);
  if (state.like) pairs.append("like", state.like);
  if (state.rank === "combined") pairs.append("rank", "combined");
  for (const name of ["exclude", "group"]) if (state[name]) pairs.append(name, state[name]);
  for (const field of state.show) pairs.append("show", field);
  if (state.open) pairs.append("open", state.open);
  return `?${pairs}`;
}

/** The API's parameters: text, choices, bounds and expansion. */
export function restrictions(state, { withText = true } = {}) {
  const pairs = [];
  if (state.q && withText) pairs.push(["q", state.q]);
  if (state.expand) pairs.push(["expand", state.expand]);
  for (const [field, values] of Object.entries(state.wanted)) for (const value of values) pairs.push([`facet.${field}`, value]);
  for (const [field, values] of Object.entries(state.unwanted)) for (const value of values) pairs.push([`facet.${field}.not`, value]);
  return [...pairs, ...Object.entries(state.bounds)];
}

export const isChosen = (state, field, value) => Boolean(state.wanted[field]?.includes(value));
export const isExcluded = (state, field, value) => Boolean(state.unwanted[field]?.includes(value));

export function toggled(state, group, field, value) {
  const other = group === "wanted" ? "unwanted" : "wanted";
  const has = state[group][field]?.includes(value);
  const without = { ...state, [group]: removed(state[group], field, value), [other]: removed(state[other], field, value) };
  if (has) return without;
  return { ...without, [group]: { ...without[group], [field]: [...(without[group][field] ?? []), value] } };
}

function removed(group, field, value) {
  const left = (group[field] ?? []).filter((held) => held !== value);
  const { [field]: _, ...others } = group;
  return left.length ? { ...others, [field]: left } : others;
}

export function bounded(state, name, value) {
  const { [name]: _, ...others } = state.bounds;
  return { ...state, bounds: value === "" ? others : { ...others, [name]: value } };
}

export const unrestricted = (state) => ({ ...state, wanted: {}, unwanted: {}, bounds: {} });
export const hasChoices = (state) =>
  [state.wanted, state.unwanted, state.bounds].some((group) => Object.keys(group).length > 0);
