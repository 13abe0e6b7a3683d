// Hits as cards: images with their pixels, studies with a strip of theirs.

import { imagesOf, thumbnail } from "./api.js";
import { button, el, figure } from "./dom.js";
import { distinct, inWords } from "./reasons.js";
import { toAddress } from "./state.js";

const REASONS = 3;
const STRIP = 4;

export function imageCard(hit, state, navigate, withPixels) {
  const alike = button("Look-alikes", () => navigate((now) => lookingLike(now, hit.id)), {
    class: "alike",
    "aria-label": `Look-alikes of ${hit.title || hit.id}`,
    "data-key": `alike ${hit.id}`,
  });
  return el(
    "article",
    { class: "card", "data-id": hit.id },
    withPixels && opener(hit.id, state, navigate, { class: "picture", tabindex: "-1", "aria-hidden": "true" }, picture(hit.id, () => alike.remove())),
    el(
      "div",
      { class: "text" },
      el("h3", {}, opener(hit.id, state, navigate, { "data-key": `open ${hit.id}` }, hit.title || hit.id)),
      el("p", { class: "id" }, hit.id),
      likeness(hit),
      reasonList(hit.why ?? []),
      withPixels && alike,
    ),
  );
}

export function studyCard(hit, state, navigate, withPixels) {
  const strip = el("div", { class: "strip" });
  const card = el(
    "article",
    { class: "card study", "data-id": hit.id },
    el(
      "div",
      { class: "text" },
      el("h3", {}, opener(hit.id, state, navigate, { "data-key": `open ${hit.id}` }, hit.title || hit.id)),
      el("p", { class: "id" }, hit.id),
      reasonList(hit.why),
    ),
    strip,
  );
  if (withPixels) whenSeen(card, () => fillStrip(strip, hit.id));
  return card;
}

export const lookingLike = (state, id) => ({ ...state, level: "images", like: id, open: null });

/** A link to a record's details: a plain click opens them here, any other as the browser likes. */
export function opener(id, state, navigate, attributes, ...children) {
  const opened = (now) => ({ ...now, open: id });
  const onclick = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    navigate(opened);
  };
  return el("a", { href: toAddress(opened(state)), onclick, ...attributes }, ...children);
}

export function picture(id, missing = () => {}) {
  const lost = (event) => {
    event.target.replaceWith(el("span", { class: "nopixels" }, "no pixels here"));
    missing();
  };
  return el("img", { src: thumbnail(id), alt: "", loading: "lazy", decoding: "async", width: 256, height: 256, onerror: lost });
}

function likeness(hit) {
  if (hit.similarity === undefined) return null;
  const ranks = [];
  if (hit.look_rank !== undefined) ranks.push(hit.look_rank ? `look rank ${hit.look_rank}` : "look rank beyond 1,000");
  if (hit.text_rank !== undefined) ranks.push(hit.text_rank ? `text rank ${hit.text_rank}` : "not found by text");
  return el(
    "p",
    { class: "likeness" },
    hit.similarity === null ? null : el("span", { class: "similarity" }, `similarity ${hit.similarity.toFixed(3)}`, el("meter", { min: 0, max: 1, value: hit.similarity, "aria-hidden": "true" })),
    percentile(hit),
    ranks.length > 0 && el("span", { class: "ranks" }, ranks.join(" · ")),
  );
}

function percentile(hit) {
  if (typeof hit.percentile !== "number") return null;
  // rounded down: 100 % would say that no pair of the index is as alike
  const share = (Math.floor(hit.percentile * 10_000) / 100).toFixed(2).replace(/\.?0+$/, "");
  return el("span", { class: "percentile", title: "Of random pairs of images of different studies" }, `more alike than ${share} % of pairs`);
}

function reasonList(why) {
  const lines = distinct(why).map(inWords);
  if (lines.length === 0) return null;
  const left = lines.length - REASONS;
  return el("ul", { class: "why", "aria-label": "Why it matched" },
    lines.slice(0, REASONS).map((line) => el("li", { title: line }, line)),
    left > 0 && el("li", { class: "quiet" }, `and ${figure(left)} more`));
}

const waiting = new WeakMap();
const observer = new IntersectionObserver((entries) => {
  for (const { target } of entries.filter((entry) => entry.isIntersecting)) {
    observer.unobserve(target);
    waiting.get(target)?.();
  }
}, { rootMargin: "200px" });

function whenSeen(element, action) {
  waiting.set(element, action);
  observer.observe(element);
}

async function fillStrip(strip, study) {
  const images = await imagesOf(study, STRIP).catch(() => null); // a study without images has no strip
  strip.append(...(images?.hits ?? []).map((hit) => picture(hit.id)));
}
