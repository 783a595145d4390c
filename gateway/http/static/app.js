// The page: takes documents in, shows the list of them, and joins the picture to the lines.

import { useKey } from "./account.js";
import { Documents, settled } from "./documents.js";
import { fill, h, icon, ICONS } from "./dom.js";
import { asText, copy, formatsOf, save } from "./export.js";
import { isLow } from "./lines.js";
import { outcome } from "./outcome.js";
import { Picture } from "./picture.js";
import { problemWords, Result, stateWords } from "./result.js";
import { fillWords, switchLanguage, t } from "./words.js";

const $ = (id) => document.getElementById(id);

const documents = new Documents(changed);
let current = null;
let pointed = null, chosen = null;

const picture = new Picture($("picture"), {
  pointed: point,
  chosen: (index) => choose(index, "picture"),
  sent: (entry) => {
    entry.sent = true;
    renderDesk();
  },
});
const result = new Result($("result"), {
  actions: {
    copyAll: async (entry, button) => said(button, copyWords(await copy(asText([entry])))),
    save: (format, entry) => save(format, [entry]),
    again: (entry, fresh) => documents.again(entry, { fresh }),
    readPages: (entry, pages) => documents.readPages(entry, pages),
    cancel: (entry) => documents.cancel(entry),
    forget: async (entry, button) => {
      if (!confirm(t("forgetSure"))) return;
      if (await documents.forget(entry)) {
        removeEntries([entry]);
        announce(t("forgotten"));
      } else said(button, t("forgetFailed"));
    },
    useKey: async (key) => {
      const accepted = await useKey(key);
      if (accepted) documents.retryRefused();
      else announce(t("keyRefused"));
      return accepted;
    },
  },
  lines: { pointed: point, chosen: (index) => choose(index, "lines"), copied: copyLine },
});

// --- choosing documents ---------------------------------------------------------------------

function take(files) {
  if (files.length === 0) return;
  const added = documents.add([...files], { fresh: $("fresh").checked });
  announce(t("saidDocuments", { documents: t("documentCount", { n: added.length }) }));
  open(added[0]);
}

function listenForFiles() {
  $("choose").addEventListener("click", () => $("files").click());
  $("camera").addEventListener("click", () => $("shot").click());
  for (const input of [$("files"), $("shot")]) {
    input.addEventListener("change", () => {
      take(input.files);
      input.value = ""; // So that the same file can be chosen again.
    });
  }
  document.addEventListener("paste", (event) => take(event.clipboardData?.files ?? []));

  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    document.body.classList.add("dragging");
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) document.body.classList.remove("dragging");
  });
  document.addEventListener("drop", (event) => {
    document.body.classList.remove("dragging");
    if (!carriesFiles(event)) return;
    event.preventDefault();
    take(event.dataTransfer.files);
  });
}

// --- the list -------------------------------------------------------------------------------

function changed(entry) {
  current ??= documents.entries[0] ?? null;
  if (entry.announced !== entry.state) {
    entry.announced = entry.state;
    if (documents.entries.includes(entry)) tell(entry);
    renderList();
    if (entry === current) renderDesk();
  } else {
    renderProgress();
  }
}

function tell(entry) {
  const name = entry.name || t("unnamed");
  if (entry.state === "done") {
    const lines = t("lineCount", { n: entry.record.lines.length });
    announce(t("saidDone", { name, lines, sentence: outcome(entry).sentence }));
  } else if (entry.state === "failed") {
    announce(t("saidFailed", { name, ...problemWords(entry.problem) }));
  }
}

function open(entry) {
  current = entry;
  pointed = chosen = null;
  renderList();
  renderDesk();
}

function removeEntries(entries) {
  const at = documents.entries.indexOf(entries[0]);
  for (const entry of entries) {
    picture.forget(entry);
    documents.remove(entry);
  }
  if (!documents.entries.includes(current)) current = documents.entries[Math.min(at, documents.entries.length - 1)] ?? null;
  renderList();
  renderDesk();
  (current ? $("documents").querySelector("[aria-current]") : $("choose"))?.focus();
}

function renderList() {
  const { entries } = documents;
  document.body.classList.toggle("empty", entries.length === 0);
  $("choose").textContent = t(entries.length ? "add" : "choose");
  const list = $("documents");
  list.hidden = entries.length === 0;
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
  fill(list, h("ul", {}, entries.map(card)), entries.length > 1 && batchActions());
  if (focused) list.querySelector(`[data-focus="${focused}"]`)?.focus();
}

function card(entry, index) {
  const name = entry.name || t("unnamed");
  return h("li", { class: `card ${entry.state}`, "data-state": entry.state },
    h("button", { type: "button", class: "open", "aria-current": entry === current ? "true" : null, "data-focus": `open${index}`, onclick: () => open(entry) },
      preview(entry),
      h("span", { class: "card-words" }, h("span", { class: "card-name", title: name }, name), h("span", { class: "card-state" }, cardState(entry)))),
    h("button", { type: "button", class: "close", "aria-label": t("closeDocument", { name }), "data-focus": `close${index}`, onclick: () => removeEntries([entry]) }, icon(ICONS.close)));
}

function cardState(entry) {
  if (entry.state !== "done") return stateWords(entry);
  const { word, tone } = outcome(entry);
  return [h("span", { class: `dot ${tone}` }, word), " ", t("lineCount", { n: entry.record.lines.length })];
}

// Built once an entry: a list that is drawn anew should not decode its pictures again.
function preview(entry) {
  const { thumbnail } = entry;
  if (!entry.preview) {
    entry.preview = h("img", { class: "preview", alt: "", draggable: "false", width: "36", height: "44", decoding: "async", src: entry.url });
    entry.preview.addEventListener("error", () => {
      entry.unshowable = true;
      const kept = entry.thumbnail;
      if (kept && entry.preview.getAttribute("src") !== kept) entry.preview.src = kept;
      else entry.preview.classList.add("unknown");
    });
  } else if (entry.unshowable && thumbnail && entry.preview.getAttribute("src") !== thumbnail) {
    entry.preview.classList.remove("unknown");
    entry.preview.src = thumbnail;
  }
  return entry.preview;
}

function batchActions() {
  const results = documents.results();
  const disabled = results.length === 0;
  const copyAll = h("button", { type: "button", class: "plain", disabled }, t("copy"));
  copyAll.addEventListener("click", async () => said(copyAll, copyWords(await copy(asText(documents.results())))));
  const saving = formatsOf(results).map((format) =>
    h("button", { type: "button", class: "plain", disabled, onclick: () => save(format, documents.results()) }, t(`as_${format}`)));
  return h("div", { class: "batch" },
    h("span", {}, t("saveAll")), copyAll, saving,
    documents.busy()
      ? h("button", { type: "button", class: "plain", onclick: () => documents.entries.forEach((entry) => documents.cancel(entry)) }, t("cancelAll"))
      : h("button", { type: "button", class: "plain", onclick: () => removeEntries([...documents.entries]) }, t("clear")));
}

// --- the desk: picture and lines --------------------------------------------------------------

function renderDesk() {
  $("desk").hidden = current === null;
  if (current === null) return;
  if (current.state !== "done") pointed = chosen = null;
  picture.show(current, { isLow });
  result.show(current);
  mark();
}

function renderProgress() {
  for (const [index, entry] of documents.entries.entries()) {
    if (settled(entry)) continue;
    const label = $("documents").querySelectorAll(".card-state")[index];
    if (label) label.textContent = stateWords(entry);
  }
  if (current && !settled(current)) result.tick(current);
}

function mark() {
  picture.mark(pointed, chosen);
  result.lines.mark(pointed, chosen);
}

function point(index) {
  if (pointed === index) return;
  pointed = index;
  mark();
}

function choose(index, from) {
  chosen = pointed = index;
  mark();
  if (from === "lines") picture.reveal(index);
  else result.lines.reveal(index);
}

async function copyLine(index) {
  const done = await copy(current.record.lines[index].text);
  if (done) result.lines.confirm(index);
  announce(copyWords(done));
}

const copyWords = (done) => t(done ? "copied" : "copyFailed");

const saying = new Map(); // The own words of buttons that say something else, and who gives them back.

/** Says for a moment on a button, and aloud, what came of it. */
function said(button, outcome) {
  const { words, timer } = saying.get(button) ?? { words: button.textContent };
  clearTimeout(timer);
  button.textContent = outcome;
  announce(outcome);
  const giveBack = () => {
    button.textContent = words;
    saying.delete(button);
  };
  saying.set(button, { words, timer: setTimeout(giveBack, 1500) });
}

function announce(words) {
  $("announcer").textContent = words;
}

// --- words ------------------------------------------------------------------------------------

function renderWords() {
  fillWords(document);
  $("language").textContent = t("otherLanguage");
  $("language").lang = t("otherLanguage") === "English" ? "en" : "zh-CN";
  renderList();
  renderDesk();
}

$("language").addEventListener("click", () => {
  switchLanguage();
  renderWords();
});
listenForFiles();
renderWords();
setInterval(renderProgress, 1000);
