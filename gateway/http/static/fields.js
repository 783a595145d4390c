// What the lines of an invoice mean: number, date, parties and amounts, and whether the sums hold.

import { h, icon, ICONS } from "./dom.js";
import { t, tOrNull } from "./words.js";

/** Every field there is, in the order in which people read an invoice. */
export const FIELDS = [
  "number", "code", "date", "buyer_name", "buyer_tax_id", "seller_name", "seller_tax_id", "amount", "tax", "total", "total_in_words",
];

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

/** What a check found, in words. */
export const checkWords = ({ name, ok }) => t(ok ? "checkHolds" : "checkFails", { check: tOrNull(`check_${name}`) ?? name });

function checkMark({ name, ok }) {
  const words = checkWords({ name, ok });
  return h("span", { class: ok ? "check" : "check failed", role: "img", "aria-label": words, title: words },
    icon(ok ? ICONS.check : ICONS.warn));
}

const lineOf = (record, field) => record.lines.findIndex(
  (line) => line.page === field.page && JSON.stringify(line.box) === JSON.stringify(field.box));
