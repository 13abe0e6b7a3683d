// One study or image, whole, in a dialog.

import { detail, imagesOf } from "./api.js";
import { button, counted, el, fill, spoken, titled, valueOf } from "./dom.js";
import { distinct, inWords, pathInWords } from "./reasons.js";
import { lookingLike, opener, picture } from "./results.js";
import { NOTHING, toggled } from "./state.js";

const PREVIEW = 8;

export class DetailDialog {
  constructor(element, navigate) {
    this.element = element;
    this.navigate = navigate;
    this.shown = null;
    element.addEventListener("close", () => this.shown && navigate((now) => ({ ...now, open: null })));
    element.addEventListener("click", (event) => event.target === element && element.close());
  }

  /** Shows what the state has open; why: the reasons of hits by id. */
  async draw(state, why) {
    if (state.open === this.shown) return;
    this.shown = state.open;
    if (!state.open) {
      this.element.close();
      return;
    }
    const body = el("div", { class: "body" }, el("p", { class: "quiet" }, "Loading…"));
    fill(this.element, this.closer(), body);
    if (!this.element.open) this.element.showModal();
    const content = await this.content(state, why).catch((error) => [el("p", { class: "problem", role: "alert" }, error.message)]);
    fill(body, ...content);
  }

  closer() {
    return button("×", () => this.element.close(), { class: "close", "aria-label": "Close", autofocus: true });
  }

  async content(state, why) {
    const record = await found(state.open);
    const image = record.level === "image";
    return [
      el("h2", {}, record.title || record.id),
      el("p", { class: "id" }, record.id),
      image && record.embedded && el("div", { class: "large" }, picture(record.id)),
      el("div", { class: "actions" }, image ? this.imageActions(state, record) : this.studyActions(record)),
      !image && record.embedded && (await this.preview(state, record)),
      reasonsOf(why),
      this.mentions(record),
      values(record),
    ];
  }

  imageActions(state, record) {
    return [
      record.embedded && button("Look-alikes", () => this.navigate((now) => lookingLike(now, record.id)), { class: "primary" }),
      opener(record.study_id, state, this.navigate, { class: "button" }, `Study ${record.study_id}`),
      record.dataset && el("span", { class: "quiet" }, `dataset ${record.dataset}`),
    ];
  }

  studyActions(record) {
    const images = { ...NOTHING, level: "images", wanted: { accession: [record.id] } };
    return [
      record.images > 0 && button(`Show its ${counted(record.images, "image")}`, () => this.navigate(() => images), { class: "primary" }),
      el("span", { class: "quiet" }, `read from ${record.origins.join(", ")}`),
    ];
  }

  async preview(state, record) {
    const images = await imagesOf(record.id, PREVIEW).catch(() => ({ hits: [] }));
    return el("div", { class: "strip" }, images.hits.map((hit) =>
      opener(hit.id, state, this.navigate, { "aria-label": hit.title || hit.id }, picture(hit.id))));
  }

  mentions(record) {
    if (record.mentions.length === 0) return null;
    const level = record.level === "image" ? "images" : "studies";
    const everything = (mention) => toggled({ ...NOTHING, level }, "wanted", mention.field, mention.term);
    return el("section", {}, el("h3", {}, "Terms"), el("dl", {}, different(record.mentions).map((mention) => [
      el("dt", {}, titled(mention.field)),
      el("dd", {},
        button(mention.label, () => this.navigate(() => everything(mention)), { class: "link", title: `All ${level} with ${mention.label}` }),
        " ", el("code", {}, mention.term), el("span", { class: "quiet" }, ` ${provenance(mention)}`)),
    ])));
  }
}

async function found(id) {
  // an image's id starts with its study's and a slash
  const [first, second] = id.includes("/") ? ["images", "studies"] : ["studies", "images"];
  try {
    return await detail(first, id);
  } catch (error) {
    if (error.status !== 404) throw error;
    return detail(second, id);
  }
}

function different(mentions) {
  const seen = new Map(mentions.map((mention) => [`${mention.field} ${mention.term} ${mention.text}`, mention]));
  return [...seen.values()];
}

function provenance(mention) {
  const parts = [mention.text === mention.label ? "" : `from “${mention.text}”`, `by ${spoken(mention.method)}`];
  if (mention.score < 1) parts.push(`score ${mention.score.toFixed(2)}`);
  if (mention.given_id && mention.given_id.replace("_", ":") !== mention.term) parts.push(`given as ${mention.given_id}`);
  if (mention.note) parts.push(spoken(mention.note));
  return parts.filter(Boolean).join(", ");
}

function reasonsOf(why) {
  if (!why?.length) return null;
  const line = (reason) => el("li", {}, inWords(reason), reason.path.length > 2 && el("span", { class: "quiet path" }, pathInWords(reason)));
  return el("section", {}, el("h3", {}, "Why it matched"), el("ul", {}, distinct(why).map(line)));
}

function values(record) {
  const different = new Map(record.values.map((value) => [`${value.field} ${value.text}`, value]));
  const telling = [...different.values()].filter((value) => !["title", "id"].includes(value.field));
  const rows = telling.map((value) => [
    el("dt", {}, titled(value.field)),
    el("dd", {}, valueOf(value.text), value.ids.length > 0 && el("code", {}, ` ${value.ids.join(", ")}`)),
  ]);
  return el("section", {}, el("h3", {}, "Values"), el("dl", {}, rows));
}
