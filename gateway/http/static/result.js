// The right-hand side: how a document fares, then what the caches said and its lines.

import { settled } from "./documents.js";
import { fill, h, icon, ICONS } from "./dom.js";
import { formatsOf } from "./export.js";
import { fieldList } from "./fields.js";
import { isLow, Lines } from "./lines.js";
import { mayHavePages, pagesForm } from "./pages.js";
import { facts, outcome } from "./outcome.js";
import { duration, languageTag, number, score, t, tOrNull } from "./words.js";

// What is most likely wanted next, in each state.
const NEXT = "#cancel, #retry, #copy-all, #reread";

export class Result {
  /** `actions`: `{copyAll, save, again, readPages, cancel, forget}` take an entry, `useKey` a key; `lines`: see {@link Lines}. */
  constructor(root, { actions, lines }) {
    this.root = root;
    this.actions = actions;
    this.lines = new Lines(lines);
    this.doubtful = -1;
    this.chosen = lines.chosen;
    this.open = false;
  }

  show(entry) {
    const focused = this.root.contains(document.activeElement) ? document.activeElement.id : null;
    const shown = this.entry === entry && this.record === entry.record;
    if (!shown) this.doubtful = -1;
    this.entry = entry;
    this.record = entry.record;
    if (entry.state === "done") this.#done(entry);
    else if (entry.state === "failed") fill(this.root, heading(entry), this.#problem(entry), this.#pages(entry));
    else fill(this.root, heading(entry), this.#progress(entry), this.#pages(entry));
    // Who works by keyboard stays in the panel when what they pressed is gone.
    if (focused !== null) ((focused && this.root.querySelector(`#${focused}`)) || this.root.querySelector(NEXT))?.focus();
  }

  /** Renews the words of a document on its way without building the panel anew. */
  tick(entry) {
    const label = this.root.querySelector(".progress-label");
    if (!label || this.entry !== entry) return;
    label.textContent = stateWords(entry);
    const bar = this.root.querySelector("progress");
    if (!bar) return;
    const part = progressOf(entry);
    if (part === null) bar.removeAttribute("value");
    else bar.value = part;
  }

  #pages(entry) {
    const several = mayHavePages(entry.file) && (entry.record?.image.pages ?? 2) > 1;
    return several && pagesForm(entry, (pages) => this.actions.readPages(entry, pages));
  }

  #done(entry) {
    const { record } = entry;
    const { word, tone, sentence } = outcome(entry);
    const { main, more } = facts(entry);
    const pair = ([label, value]) => h("div", {}, h("dt", {}, label), h("dd", {}, value));
    const details = h("details", { open: this.open, ontoggle: () => (this.open = details.open) },
      h("summary", {}, t("more")), h("dl", { class: "facts small" }, more.map(pair)));
    const saving = formatsOf([entry]).map((format) =>
      h("button", { type: "button", class: "plain", "data-save": format, onclick: () => this.actions.save(format, entry) }, t(`as_${format}`)));
    const copyAll = h("button", { type: "button", class: "primary", id: "copy-all" }, t("copyAll"));
    copyAll.addEventListener("click", () => this.actions.copyAll(entry, copyAll));
    const remove = h("button", { type: "button", class: "plain", id: "forget", title: t("forgetHelp") }, t("forget"));
    remove.addEventListener("click", () => this.actions.forget(entry, remove));

    this.lines.show(record);
    fill(this.root,
      heading(entry),
      h("div", { class: `verdict ${tone}` },
        h("p", { class: "said" }, h("strong", { class: "word", title: t("wordHelp", { word }) }, word), h("span", {}, sentence)),
        h("dl", { class: "facts" }, main.map(pair)),
        details),
      fieldList(record, (index) => {
        this.chosen(index);
        this.lines.reveal(index);
      }),
      h("div", { class: "take" },
        record.lines.length > 0 && copyAll,
        record.lines.length > 0 && h("span", { class: "save", role: "group", "aria-label": t("saveAs") }, h("span", { "aria-hidden": "true" }, t("saveAs")), saving),
        h("span", { class: "redo" },
          h("button", { type: "button", class: "plain", id: "reread", title: t("freshHelp"), onclick: () => this.actions.again(entry, true) }, t("rereadOne")),
          remove)),
      this.#summary(record),
      this.#pages(entry),
      record.lines.length ? this.lines.element : h("p", { class: "none" }, t("noLines")));
  }

  #summary(record) {
    const low = [...record.lines.entries()].filter(([, line]) => isLow(line)).map(([index]) => index);
    const next = () => {
      this.doubtful = (this.doubtful + 1) % low.length;
      this.chosen(low[this.doubtful]);
      this.lines.reveal(low[this.doubtful], { focus: true });
    };
    return h("p", { class: "summary" },
      h("span", {}, t("lineCount", { n: record.lines.length })),
      record.image.pages > 1 && h("span", {}, t("pagesOf", { n: record.image.pages })),
      record.lines.length > 0 && h("span", {}, t("meanScore", { score: score(record.confidence) })),
      low.length > 0 && h("button", { type: "button", class: "doubts", onclick: next }, icon(ICONS.warn), t("doubtCount", { n: low.length })));
  }

  #progress(entry) {
    const over = settled(entry);
    return h("div", { class: "progress" },
      h("p", { class: "progress-label" }, stateWords(entry)),
      !over && h("progress", { max: "1", value: progressOf(entry), "aria-label": t("result") }),
      over ? h("button", { type: "button", class: "secondary", id: "retry", onclick: () => this.actions.again(entry, entry.fresh) }, t("retry"))
        : h("button", { type: "button", class: "secondary", id: "cancel", onclick: () => this.actions.cancel(entry) }, t("cancel")));
  }

  #keyField() {
    const input = h("input", {
      type: "password", id: "api-key", autocomplete: "off", spellcheck: "false", required: true, "aria-describedby": "key-help",
    });
    const refused = h("p", { class: "key-refused", role: "alert", hidden: true }, t("keyRefused"));
    const button = h("button", { type: "submit", class: "primary" }, t("useKey"));
    return h("form", {
      class: "key",
      onsubmit: async (event) => {
        event.preventDefault();
        button.disabled = true;
        refused.hidden = await this.actions.useKey(input.value.trim());
        button.disabled = false;
      },
    },
    h("label", { for: "api-key" }, t("apiKey")), h("div", {}, input, button), refused, h("p", { id: "key-help" }, t("keyHelp")));
  }

  #problem(entry) {
    const { title, detail, original } = problemWords(entry.problem);
    const { retryAfter, requestId } = entry.problem;
    return h("div", { class: "problem", role: "alert" },
      h("p", { class: "problem-title" }, icon(ICONS.warn), title),
      detail && h("p", { class: "problem-detail" }, detail),
      original && h("p", { class: "problem-id", lang: "en" }, original),
      retryAfter !== null && h("p", {}, t("retryAfter", { n: retryAfter })),
      requestId && h("p", { class: "problem-id" }, t("requestId", { id: requestId })),
      entry.problem.kind === 401 && this.#keyField(),
      !OF_THE_FILE.has(entry.problem.kind) &&
        h("button", { type: "button", class: "secondary", id: "retry", onclick: () => this.actions.again(entry, entry.fresh) }, t("retry")));
  }
}

const heading = (entry) => h("h2", { class: "name", title: entry.name }, entry.name || t("unnamed"));

// Refusals that the same file will meet again.
const OF_THE_FILE = new Set([413, 415, 422]);

/**
 * The heading and advice of a problem. The server's advice is English: another language has its own, and `original` is
 * then what the server said.
 */
export function problemWords({ kind, detail }) {
  const title = tOrNull(`problem_${kind}`) ?? t("problem_other");
  const own = tOrNull(`problem_${kind}_detail`);
  if (detail && own && languageTag() !== "en") return { title, detail: own, original: detail };
  return { title, detail: detail ?? own ?? "", original: null };
}

// How much of what is being done is done (0 to 1), or null where nobody knows.
function progressOf({ state, fraction, page }) {
  if (state === "sending") return fraction;
  return state === "reading" && page?.total > 1 ? page.done / page.total : null;
}

export function stateWords(entry) {
  if (entry.state === "sending") return t("sending", { percent: score(entry.fraction) });
  if (entry.state === "reading" && entry.page?.total > 1) {
    const { done, total } = entry.page;
    return t("readingPage", { page: number(Math.min(done + 1, total)), total: number(total) });
  }
  if (entry.state === "reading") {
    const elapsed = performance.now() - entry.since;
    return t("reading", { seconds: elapsed < 1000 ? "" : duration(Math.floor(elapsed / 1000) * 1000) }).trim();
  }
  return t(entry.state);
}
