// Why a hit matched, in words.

import { spoken } from "./dom.js";

/** The reasons that each say something new: a word found in an annotation's own text does not. */
export function distinct(why) {
  const annotated = new Set(why.filter((reason) => reason.term).map((reason) => `${reason.field} ${reason.value}`));
  const telling = why.filter((reason) => reason.term || !annotated.has(`${reason.field} ${reason.value}`));
  return [...new Map(telling.map((reason) => [inWords(reason), reason])).values()];
}

export function inWords(reason) {
  const field = spoken(reason.field);
  switch (reason.kind) {
    case "inferred":
      return `${field}: ${named(reason)} ${relation(reason.path)} ${reason.path.at(-1).label}`;
    case "direct":
      return `${field}: ${named(reason)}`;
    case "text":
      return reason.field === "title" ? "words in the title" : `${field}: “${reason.value}”`;
    default:
      return `${field}: ${reason.value}`;
  }
}

/** Every step from the annotation to the term that was asked for. */
export function pathInWords(reason) {
  return reason.path.map((step) => (step.relation ? `${step.relation.replaceAll("_", " ")} ${step.label}` : step.label)).join(" → ");
}

function named(reason) {
  const label = reason.path[0]?.label ?? reason.value;
  return label.toLowerCase() === reason.value.toLowerCase() ? label : `“${reason.value}”, ${label},`;
}

function relation(path) {
  return path.some((step) => step.relation === "part_of") ? "is part of" : "is a";
}
