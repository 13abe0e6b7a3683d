// Suggestions under the search box while typing: a combobox with a list of its own (ARIA Authoring Practices).

import { complete } from "./api.js";
import { el, figure, fill, spoken } from "./dom.js";

const PAUSE_MS = 120;
const LONGEST = 500;

export class Suggestions {
  /** level: tells which level is searched now. */
  constructor(input, list, level) {
    Object.assign(this, { input, list, level, found: [], replaces: [0, 0], active: -1, timer: 0, controller: new AbortController() });
    input.addEventListener("input", () => this.typed());
    input.addEventListener("keydown", (event) => this.pressed(event));
    input.addEventListener("blur", () => this.close());
    // the box keeps the focus, so that a click fills it in before it would close the list
    list.addEventListener("mousedown", (event) => event.preventDefault());
  }

  get open() {
    return this.found.length > 0;
  }

  /** Forget what was asked and what is shown. */
  close() {
    clearTimeout(this.timer);
    this.controller.abort();
    this.draw([]);
  }

  typed() {
    clearTimeout(this.timer);
    this.controller.abort();
    if (this.before().trim() === "" || this.before().length > LONGEST) return this.draw([]);
    this.timer = setTimeout(() => this.ask(), PAUSE_MS);
  }

  /** What stands before the caret: that is completed, the rest stays. */
  before() {
    return this.input.value.slice(0, this.input.selectionEnd);
  }

  async ask() {
    this.controller = new AbortController();
    const { signal } = this.controller;
    try {
      const answer = await complete(this.before(), this.level(), signal);
      if (signal.aborted) return;
      this.replaces = answer.replaces;
      this.draw(answer.completions);
    } catch {
      // typing goes on without suggestions; a search will say what is wrong
      if (!signal.aborted) this.draw([]);
    }
  }

  pressed(event) {
    if (!this.open || event.isComposing) return;
    const count = this.found.length;
    if (event.key === "ArrowDown") this.point((this.active + 2) % (count + 1) - 1);
    else if (event.key === "ArrowUp") this.point((this.active + count + 1) % (count + 1) - 1);
    else if (event.key === "Escape") this.close();
    else if (event.key === "Enter" && this.active >= 0) this.choose(this.active);
    else return;
    event.preventDefault(); // Escape would empty the box, Enter would search
  }

  choose(number) {
    const { text } = this.found[number];
    const characters = [...this.before()]; // the API counts characters, JavaScript half of some
    const kept = characters.slice(0, this.replaces[0]).join("") + text;
    const value = kept + characters.slice(this.replaces[1]).join("") + this.input.value.slice(this.before().length);
    this.close();
    this.input.value = value;
    this.input.setSelectionRange(kept.length, kept.length);
    this.input.focus();
  }

  /** Marks an option; -1 is the box itself. */
  point(number) {
    this.active = number;
    for (const [at, option] of [...this.list.children].entries()) option.setAttribute("aria-selected", String(at === number));
    const option = this.list.children[number];
    if (option) this.input.setAttribute("aria-activedescendant", option.id);
    else this.input.removeAttribute("aria-activedescendant");
    option?.scrollIntoView({ block: "nearest" });
  }

  draw(found) {
    this.found = found;
    fill(this.list, ...found.map((each, number) => this.option(each, number)));
    this.list.hidden = !this.open;
    this.input.setAttribute("aria-expanded", String(this.open));
    this.point(-1);
  }

  option(found, number) {
    const label = found.kind === "record" ? found.id : found.label;
    return el("li", { role: "option", id: `suggestion-${number}`, "aria-selected": "false", onclick: () => this.choose(number) },
      el("span", { class: "label" }, label, found.name !== label && el("span", { class: "quiet" }, ` ${found.name}`)),
      el("span", { class: "quiet" }, found.kind === "record" ? found.label : found.fields.map(spoken).join(", ")),
      found.count !== null && el("span", { class: "count quiet" }, figure(found.count)));
  }
}
