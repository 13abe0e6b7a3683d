// The zone that takes an image: dropped anywhere on the page, pasted, or chosen.

import { button, el, fill } from "./dom.js";
import { picture } from "./results.js";

export class DropZone {
  /** take: called with a file; navigate: with a new state; back: to the search without an image. */
  constructor(element, { take, navigate, back }) {
    this.element = element;
    Object.assign(this, { take, navigate, back });
    this.input = el("input", { type: "file", accept: "image/*,.tif,.tiff", id: "file", class: "hidden", onchange: () => this.takeFirst(this.input.files) });
    this.preview = null;
    document.addEventListener("dragover", (event) => this.over(event));
    document.addEventListener("dragleave", (event) => event.relatedTarget === null && this.mark(false));
    document.addEventListener("drop", (event) => this.dropped(event));
    document.addEventListener("paste", (event) => this.pasted(event));
  }

  draw(state, file) {
    if (this.preview) URL.revokeObjectURL(this.preview);
    this.preview = file ? URL.createObjectURL(file) : null;
    this.element.classList.toggle("filled", Boolean(file || state.like));
    fill(this.element, ...(file || state.like ? this.example(state, file) : this.invitation()), this.input);
  }

  invitation() {
    return [
      el("p", {}, el("b", {}, "Have a picture?"), " Drop it here, paste it, or ", el("label", { for: "file", class: "link" }, "choose a file"),
        " to find images that look like it. Words and filters narrow the search."),
    ];
  }

  example(state, file) {
    const shown = file ? el("img", { src: this.preview, alt: "", onload: brighten, onerror: (event) => event.target.remove() }) : picture(state.like);
    return [
      el("div", { class: "example" }, shown),
      el("div", { class: "about" },
        el("p", {}, "Looking like ", el("b", {}, file ? file.name : state.like)),
        this.ranking(state),
        this.choices(state, file),
        el("p", { class: "actions" },
          el("label", { for: "file", class: "link" }, "Another image"),
          button("Back to the search without it", this.back, { class: "link", "data-key": "back" }))),
    ];
  }

  ranking(state) {
    const choice = (rank, text, title) =>
      el("label", { title }, el("input", {
        type: "radio", name: "rank", value: rank, checked: state.rank === rank, "data-key": `rank ${rank}`,
        onchange: () => this.navigate((now) => ({ ...now, rank })),
      }), el("span", {}, text));
    return el("fieldset", { class: "switch small" }, el("legend", { class: "hidden" }, "How to rank"),
      choice("look", "Rank by look", "Words and filters restrict, the look ranks"),
      choice("combined", "Rank by look and words", "Filters restrict; the ranks by look and by words are fused"));
  }

  choices(state, file) {
    const choice = (name, text) =>
      el("label", { class: "check" }, el("input", {
        type: "checkbox", checked: state[name] === "study", "data-key": name,
        onchange: (event) => this.navigate((now) => ({ ...now, [name]: event.target.checked ? "study" : "" })),
      }), ` ${text}`);
    return el("p", { class: "choices" }, !file && choice("exclude", "Not from the same study"), choice("group", "Best of each study"));
  }

  over(event) {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    this.mark(true);
  }

  dropped(event) {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    this.mark(false);
    this.takeFirst(event.dataTransfer.files);
  }

  pasted(event) {
    if (event.clipboardData?.files.length) this.takeFirst(event.clipboardData.files);
  }

  takeFirst(files) {
    if (files.length > 0) this.take(files[0]);
    this.input.value = ""; // so that the same file can be chosen again
  }

  mark(over) {
    document.body.classList.toggle("dragging", over);
  }
}

const SIDE = 84;
const DIM = 128;

/** Microscopes leave pictures nearly black: what is looked at is scaled, as thumbnails are, and shown so. */
function brighten({ target }) {
  const canvas = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE }).getContext("2d");
  canvas.drawImage(target, 0, 0, SIDE, SIDE);
  const most = canvas.getImageData(0, 0, SIDE, SIDE).data.reduce((found, value, at) => (at % 4 === 3 ? found : Math.max(found, value)), 0);
  if (most > 0 && most < DIM) target.style.filter = `brightness(${255 / most})`;
}
