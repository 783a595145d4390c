// The recognised lines as a grid: a row a line with its number, text, score and a button that copies it.

import { fill, h, icon, ICONS, scrollBehavior } from "./dom.js";
import { number, score, t } from "./words.js";

const CHECK_BELOW = 0.8;

/** A line to check by eye. */
export const isLow = (line) => line.score < CHECK_BELOW;

export class Lines {
  /** `pointed(index|null)`, `chosen(index)` and `copied(index)` tell what the reader does with the rows. */
  constructor({ pointed, chosen, copied }) {
    this.chosen = chosen;
    this.element = h("div", { class: "lines", role: "grid", "aria-colcount": "4" });
    const rowOf = (event) => {
      const row = event.target.closest?.(".line");
      return row ? Number(row.dataset.line) : null;
    };
    this.element.addEventListener("pointerover", (event) => event.pointerType === "mouse" && pointed(rowOf(event)));
    this.element.addEventListener("pointerleave", () => pointed(null));
    this.element.addEventListener("click", (event) => {
      const row = rowOf(event);
      if (row === null) return;
      if (event.target.closest("button")) copied(row);
      else if (getSelection().isCollapsed) chosen(row); // Selecting some of the text is not choosing the line.
    });
    this.element.addEventListener("focusin", (event) => event.target.matches(".line") && pointed(rowOf(event)));
    this.element.addEventListener("keydown", (event) => this.#key(event, rowOf(event), copied));
  }

  show(record) {
    const pages = record.image.pages > 1;
    let page = null;
    const rows = [];
    record.lines.forEach((line, index) => {
      if (pages && line.page !== page) {
        page = line.page;
        rows.push(h("div", { class: "page-mark", role: "row" }, h("span", { role: "gridcell", "aria-colspan": "4" }, t("page", { n: page }))));
      }
      rows.push(row(line, index));
    });
    this.element.setAttribute("aria-label", t("lines"));
    this.element.setAttribute("aria-rowcount", rows.length);
    fill(this.element, rows);
    this.element.querySelector(".line")?.setAttribute("tabindex", "0");
  }

  /** Marks the line that is pointed at (or null) and the chosen one. */
  mark(pointed, chosen) {
    for (const element of this.element.querySelectorAll(".line")) {
      const index = Number(element.dataset.line);
      element.classList.toggle("pointed", index === pointed);
      element.setAttribute("aria-selected", String(index === chosen));
    }
  }

  /** Scrolls a line into view, without taking the focus unless asked. */
  reveal(index, { focus = false } = {}) {
    const element = this.element.querySelector(`.line[data-line="${index}"]`);
    if (!element) return;
    element.scrollIntoView({ block: "nearest", behavior: scrollBehavior() });
    if (focus) this.#focus(element);
  }

  /** Says on the row's button that its text is on the clipboard. */
  confirm(index) {
    const button = this.element.querySelector(`.line[data-line="${index}"] .copy`);
    if (!button) return;
    fill(button, icon(ICONS.check));
    button.classList.add("done");
    setTimeout(() => {
      fill(button, icon(ICONS.copy));
      button.classList.remove("done");
    }, 1500);
  }

  #key(event, index, copied) {
    if (index === null || !event.target.matches(".line") || event.ctrlKey || event.metaKey || event.altKey) return;
    const rows = [...this.element.querySelectorAll(".line")];
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -rows.length, End: rows.length }[event.key];
    if (step !== undefined) {
      const next = Math.min(Math.max(index + step, 0), rows.length - 1);
      this.#focus(rows[next]);
      this.chosen(next);
    } else if (event.key === "Enter") copied(index);
    else if (event.key === " ") this.chosen(index);
    else return;
    event.preventDefault();
  }

  // One row is in the tab order at a time: sixty lines are one stop.
  #focus(element) {
    for (const other of this.element.querySelectorAll('.line[tabindex="0"]')) other.tabIndex = -1;
    element.tabIndex = 0;
    element.focus();
  }
}

function row(line, index) {
  const low = isLow(line);
  const value = score(line.score);
  const words = t(low ? "lowScore" : "score", { score: value });
  const bar = h("span", { class: "bar", "aria-hidden": "true" }, h("span"));
  bar.firstChild.style.width = `${Math.round(100 * line.score)}%`;
  return h("div", { class: low ? "line low" : "line", role: "row", tabindex: "-1", "data-line": index, "aria-selected": "false" },
    h("span", { class: "count", role: "gridcell" }, number(index + 1)),
    h("span", { class: "text", role: "gridcell", dir: "auto" }, line.text),
    h("span", { class: "score", role: "gridcell", "aria-label": words, title: words }, low && icon(ICONS.warn), value, bar),
    h("span", { role: "gridcell" },
      h("button", { type: "button", class: "copy", tabindex: "-1", "aria-label": t("copyLine", { n: index + 1 }), title: t("copy") }, icon(ICONS.copy))));
}
