// The filters: every field with its values, counts, and what is chosen or left out.

import { FACET_VALUES } from "./api.js";
import { button, el, figure, fill, spoken, titled } from "./dom.js";
import { bounded, isChosen, isExcluded, toggled } from "./state.js";
import { below, topLevel, treeOf } from "./tree.js";

const USUAL = [
  "organism", "imaging_method", "anatomy", "cell_type", "cell_line", "cellular_component", "biological_process",
  "disease", "phenotype", "compound", "developmental_stage", "licence", "year", "archive", "dataset", "channels", "format",
];
const FIRST_ROWS = 8;
const MORE_ROWS = 20;
const FIND_FROM = 12;
/** Stands for the top level in what is asked for: groups that it passes over may be cut, and not be among the values. */
const TOP = { id: "" };
/** As the server reads them: the top level of a field of numbers has ranges in their place, and so brings none. */
const NUMBER = /^\s*([+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|\d{4}-\d\d-\d\d(t.*)?)\s*$/i;

/** The fields to count: the usual ones that records have, and those that were asked for. */
export function shownFields(state, known) {
  const names = known.filter((field) => field.facet).map((field) => field.name);
  const chosen = [...Object.keys(state.wanted), ...Object.keys(state.unwanted), ...state.show];
  return [...new Set([...USUAL, ...chosen])].filter((name) => names.includes(name));
}

/** Draws the panel; which rows are open, how many are shown and what is looked for lasts as long as the page. */
export class FacetPanel {
  constructor(element, labels, navigate, askBelow) {
    this.element = element;
    this.labels = labels;
    this.navigate = navigate;
    this.askBelow = askBelow;
    this.memory = new Map();
    this.fetched = new WeakMap();
  }

  /** facets: the counts by field; among: counts among the look-alikes shown, or null. */
  draw(state, known, facets, among = null) {
    this.last = [state, known, facets, among];
    const sections = Object.entries(facets)
      .filter(([field, values]) => values.length > 0 || state.wanted[field] || state.unwanted[field])
      .map(([field, values]) => this.section(state, field, values, among?.[field]));
    fill(this.element, ...sections, this.adder(known, facets));
  }

  redraw() {
    this.draw(...this.last);
  }

  remembered(field) {
    if (!this.memory.has(field)) this.memory.set(field, { rows: FIRST_ROWS, flipped: new Set(), find: "", shut: false });
    return this.memory.get(field);
  }

  section(state, field, values, among) {
    const memory = this.remembered(field);
    const tree = treeOf(values);
    const context = { state, field, memory, values, tree, among: among && new Map(among.map((value) => [value.id, value.count])) };
    return el(
      "details",
      { open: !memory.shut, class: "facet", "data-field": field, ontoggle: (event) => (memory.shut = !event.target.open) },
      el("summary", { "data-key": `facet ${field}` }, titled(field)),
      field === "year" && this.bounds(state),
      values.length > FIND_FROM && this.finder(context),
      this.body(context, values),
    );
  }

  body(context, values) {
    const { state, field, memory, tree } = context;
    const kept = [...(state.wanted[field] ?? []), ...(state.unwanted[field] ?? [])];
    const passed = [];
    const found = memory.find
      ? values.filter((value) => matches(value, memory.find)).map((value) => tree.nodes.get(value.id))
      : topLevel(tree, passed).filter((node) => !kept.includes(node.id));
    const hidden = [TOP, ...passed].some((node) => this.isCut(context, node));
    const pinned = memory.find ? [] : kept.map((id) => tree.nodes.get(id) ?? this.absent(id));
    const rows = found.slice(0, memory.rows);
    context.start = found.length === 1 ? found[0] : null; // a lone group is open from the start
    const left = found.length - rows.length;
    return el(
      "div",
      { class: "values" },
      el("ul", {}, pinned.map((node) => this.row(context, node)), rows.map((node) => this.row(context, node, !memory.find))),
      memory.find && found.length === 0 && el("p", { class: "quiet" }, "No value like that here"),
      (left > 0 || hidden) && button(left > 0 ? `Show ${Math.min(left, MORE_ROWS)} more` : "Show more", () => this.more(context), {
        class: "link",
        "data-key": `more ${field}`,
        "aria-label": `Show more values of ${spoken(field)}`,
      }),
    );
  }

  /** A chosen value that no record has here. */
  absent(id) {
    return { id, label: this.labels.get(id) ?? id, count: 0, direct_count: 0, children: [] };
  }

  change(edit) {
    edit();
    this.redraw();
  }

  row(context, node, nested = true, above = []) {
    const { memory } = context;
    const children = nested && !above.includes(node.id) ? below(node) : [];
    const hidden = nested && passedUnder(node).some((each) => this.isCut(context, each));
    const open = children.length > 0 && memory.flipped.has(node.id) !== (node === context.start);
    const item = el("li", {}, el("div", { class: "value" }, this.twisty(context, node, hidden, children, open), ...this.choice(context, node)));
    if (open) item.append(el("ul", {}, children.map((child) => this.row(context, child, true, [...above, node.id]))));
    return item;
  }

  /** Whether a facet that came cut to its most frequent values may lack what is below one of them. */
  isCut({ values }, node) {
    if (node === TOP && values.every((value) => NUMBER.test(value.id))) return false;
    return values.length >= FACET_VALUES && node.id !== node.label && !node.leaf && !this.fetched.get(values)?.has(node.id);
  }

  twisty(context, node, hidden, children, open) {
    const { field, memory } = context;
    if (children.length === 0 && !hidden) return el("span", { class: "twisty" });
    const flip = async () => {
      if (!open && hidden) await this.complete(context, (tree) => passedUnder(tree.nodes.get(node.id)));
      this.change(() => memory.flipped.delete(node.id) || memory.flipped.add(node.id));
    };
    return button(open ? "▾" : "▸", flip, {
      class: "twisty",
      "aria-expanded": String(open),
      "aria-label": `What is in ${node.label}`,
      "data-key": `open ${field} ${node.id}`,
    });
  }

  async more(context) {
    await this.complete(context, (tree) => [TOP, ...passedAbove(tree)]);
    this.change(() => (context.memory.rows += MORE_ROWS));
  }

  /** Ask for what is below the groups that are replaced by what is in them, until nothing of it is missing. */
  async complete(context, passed) {
    for (;;) {
      const missing = passed(treeOf(context.values)).filter((node) => this.isCut(context, node));
      if (missing.length === 0) return;
      await Promise.all(missing.map((node) => this.fetch(context, node)));
    }
  }

  async fetch({ field, values }, node) {
    const known = new Map(values.map((value) => [value.id, value]));
    for (const value of await this.askBelow(field, node.id)) {
      this.labels.set(value.id, value.label);
      if (!known.has(value.id)) values.push(value);
      else if (node !== TOP && !known.get(value.id).parents.includes(node.id)) known.get(value.id).parents.push(node.id);
    }
    if (!this.fetched.has(values)) this.fetched.set(values, new Set());
    this.fetched.get(values).add(node.id);
  }

  choice({ state, field, among }, node) {
    const chosen = isChosen(state, field, node.id);
    const excluded = isExcluded(state, field, node.id);
    return [
      el(
        "label",
        { class: excluded ? "excluded" : null, title: hint(node, among) },
        el("input", {
          type: "checkbox",
          checked: chosen,
          "data-key": `choose ${field} ${node.id}`,
          onchange: () => this.navigate((now) => toggled(now, "wanted", field, node.id)),
        }),
        el("span", { class: "label" }, node.label),
        among && !excluded && el("span", { class: "among" }, `${figure(among.get(node.id) ?? 0)} of `),
        !excluded && el("span", { class: node.direct_count ? "count" : "count inferred" }, figure(node.count)),
      ),
      button(excluded ? "+" : "−", () => this.navigate((now) => toggled(now, "unwanted", field, node.id)), {
        class: "exclude",
        "aria-pressed": String(excluded),
        "aria-label": `Leave out ${node.label}`,
        title: excluded ? "No longer leave out" : "Leave out",
        "data-key": `exclude ${field} ${node.id}`,
      }),
    ];
  }

  finder({ field, memory }) {
    const typed = (event) => this.change(() => (memory.find = event.target.value));
    const input = el("input", {
      type: "search",
      class: "find",
      placeholder: `Find in ${spoken(field)}`,
      "aria-label": `Find in ${spoken(field)}`,
      "data-key": `find ${field}`,
      oninput: typed,
    });
    input.value = memory.find;
    return input;
  }

  bounds(state) {
    const input = (name, label) =>
      el("label", {}, label, el("input", {
        type: "number",
        value: state.bounds[name] ?? "",
        "data-key": `bound ${name}`,
        onchange: (event) => this.navigate((now) => bounded(now, name, event.target.value)),
      }));
    return el("div", { class: "bounds" }, input("year.gte", "from "), input("year.lte", " to "));
  }

  adder(known, facets) {
    const others = known.filter((field) => field.facet && !(field.name in facets)).map((field) => field.name);
    if (others.length === 0) return null;
    const add = (event) => this.navigate((now) => ({ ...now, show: [...now.show, event.target.value] }));
    return el(
      "label",
      { class: "adder" },
      "Another field ",
      el("select", { onchange: add, "data-key": "adder" }, el("option", { value: "" }, "choose…"),
        others.sort().map((name) => el("option", { value: name }, titled(name)))),
    );
  }
}

function passedAbove(tree) {
  const passed = [];
  topLevel(tree, passed);
  return passed;
}

function passedUnder(node) {
  const passed = [node];
  below(node, passed);
  return passed;
}

function matches(value, typed) {
  const wanted = typed.toLowerCase();
  return value.label.toLowerCase().includes(wanted) || value.id.toLowerCase().includes(wanted);
}

function hint(node, among) {
  const narrower = node.count - node.direct_count;
  const parts = node.id === node.label ? [] : [`${node.label} (${node.id})`];
  parts.push(`${figure(node.direct_count)} say it themselves`);
  if (narrower > 0) parts.push(`${figure(narrower)} by a narrower term`);
  if (among) parts.push(`${figure(among.get(node.id) ?? 0)} of the look-alikes shown`);
  return parts.join(" · ");
}
