// Files of several pages: which they are, and the field that says which of the pages to read.

import { h } from "./dom.js";
import { t } from "./words.js";

const RANGE = "[1-9][0-9]{0,6}(-[1-9][0-9]{0,6})?";

/** Whether a file may have several pages. */
export const mayHavePages = ({ name, type }) =>
  /^(application\/pdf|image\/tiff)$/.test(type) || /\.(pdf|tiff?)$/i.test(name);

/** A form for the pages of an entry; `read(pages)` gets the range in its canonical form, "" for all. */
export function pagesForm(entry, read) {
  const input = h("input", {
    id: "pages", value: entry.pages, pattern: RANGE, autocomplete: "off", size: "8",
    "aria-describedby": "pages-help",
  });
  return h("form", {
    class: "pages-form",
    onsubmit: (event) => {
      event.preventDefault();
      const [first, last] = input.value.split("-");
      read(last === undefined || last === first ? first : input.value);
    },
  },
  h("label", { for: "pages" }, t("pagesLabel")), input,
  h("button", { type: "submit", class: "plain" }, t("readPages")), h("span", { id: "pages-help" }, t("pagesHelp")));
}
