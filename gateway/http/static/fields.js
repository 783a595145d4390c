// What the lines of an invoice mean: number, date, parties and amounts, and whether the sums hold.

import { h, icon, ICONS } from "./dom.js";
import { t, tOrNull } from "./words.js";

/** The record's fields as a list, or null; `chosen(index)` is told the line whose field was chosen. */
export function fieldList(record, chosen) {
  const fields = Object.entries(record.fields ?? {});
  if (fields.length === 0) return null;
  return h("section", { class: "fields", "aria-label": t("fields") },
    h("dl", {}, fields.map(([name, field]) => h("div", { "data-field": name },
      h("dt", {}, tOrNull(`field_${name}`) ?? name),
      h("dd", {},
        h("button", { type: "button", class: "value", onclick: () => chosen(lineOf(record, field)) }, field.value),
        field.checks.map(checkMark))))));
}

function checkMark({ name, ok }) {
  const words = t(ok ? "checkHolds" : "checkFails", { check: tOrNull(`check_${name}`) ?? name });
  return h("span", { class: ok ? "check" : "check failed", role: "img", "aria-label": words, title: words },
    icon(ok ? ICONS.check : ICONS.warn));
}

const lineOf = (record, field) => record.lines.findIndex(
  (line) => line.page === field.page && JSON.stringify(line.box) === JSON.stringify(field.box));
