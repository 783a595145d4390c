// The picture of a document with its lines' boxes: page by page, zoomable.

import { boxesOf } from "./boxes.js";
import { fill, h, icon, ICONS, s, scrollBehavior } from "./dom.js";
import { Drawings } from "./drawings.js";
import { number, t } from "./words.js";

const STEPS = [1, 1.25, 1.5, 2, 3, 4, 6, 8];
const NARROW = 0.55; // A page that would fill less than this part of the frame's width starts enlarged.

export class Picture {
  /**
   * `pointed(index|null)` and `chosen(index)` tell which line's box the pointer is on or was clicked, `sent(entry)` that
   * its file may go to the gateway, which is to draw it.
   */
  constructor(root, { pointed, chosen, sent }) {
    this.root = root;
    this.pointed = pointed;
    this.chosen = chosen;
    this.sent = sent;
    this.drawings = new Drawings((drawing) => drawing === this.drawing && this.#redraw());
    this.zoom = 1;
    this.marked = { pointed: null, chosen: null };
    this.showBoxes = true;
    this.entry = null;
    this.image = h("img", { draggable: "false", decoding: "async" });
    this.overlay = s("svg", { class: "overlay", "aria-hidden": "true" });
    this.sheet = h("div", { class: "sheet" }, this.image, this.overlay);
    this.viewport = h("div", { class: "viewport", tabindex: "0", role: "region" }, this.sheet);
    this.note = h("p", { class: "note", hidden: true });
    this.tools = h("div", { class: "tools", role: "group" });
    root.append(this.tools, this.viewport, this.note);
    this.#listen();
  }

  /** Shows an entry; before it has a record only the picture itself. */
  show(entry, { isLow }) {
    const same = this.entry === entry && this.record === entry.record;
    this.entry = entry;
    this.isLow = isLow;
    if (!same) {
      this.record = entry.record;
      this.page = this.#firstPage();
      this.broken = new Set();
      this.zoom = null;
    }
    this.#redraw();
  }

  /** Forgets what was drawn of an entry. */
  forget(entry) {
    this.drawings.forgetAll(entry);
  }

  /** The parts that are words, after a change of language too. */
  words() {
    if (!this.entry) return;
    const name = this.entry.name || t("unnamed");
    this.image.alt = t("pictureOf", { name });
    this.viewport.setAttribute("aria-label", t("viewport"));
    this.tools.setAttribute("aria-label", t("tools"));
    this.tools.hidden = this.viewport.hidden = this.source === "none";
    this.#drawNote();
    this.root.hidden = this.source === "none" && this.note.hidden;
    this.#drawTools();
  }

  // What is shown instead of the page, and how to come by the page itself.
  #drawNote() {
    const drawing = this.drawing?.state === "drawing";
    const none = this.entry.state === "failed" ? "" : t("noPreview");
    const instead = { thumbnail: t("onlyThumbnail"), layout: t("onlyLayout"), none }[this.source] ?? "";
    const failed = this.drawing?.state === "failed" && this.record;
    const words = drawing ? t("drawing") : failed ? t("notDrawn") : instead;
    const ask = this.record && words !== "" && !drawing &&
      h("button", { type: "button", class: "plain", id: "draw", title: t("drawHelp"), onclick: () => this.#ask() }, t(this.entry.sent ? "retry" : "draw"));
    this.note.hidden = words === "";
    this.note.classList.toggle("busy", drawing);
    this.sheet.classList.toggle("busy", drawing);
    this.viewport.setAttribute("aria-busy", String(drawing));
    fill(this.note, words, ask);
  }

  #ask() {
    if (this.drawing) this.drawings.forget(this.drawing);
    this.viewport.focus(); // The button goes.
    this.sent(this.entry);
  }

  /** Marks the line that is pointed at (or null) and the chosen one. */
  mark(pointed, chosen) {
    this.marked = { pointed, chosen };
    this.#drawMarks();
  }

  #drawMarks() {
    const { pointed, chosen } = this.marked;
    for (const box of this.overlay.querySelectorAll(".box")) {
      box.classList.toggle("pointed", Number(box.dataset.line) === pointed);
      box.classList.toggle("chosen", Number(box.dataset.line) === chosen);
    }
  }

  /** Brings a line's box into the frame, turning to its page if need be. */
  reveal(index) {
    const line = this.record?.lines[index];
    if (!line) return;
    this.#turnTo(line.page);
    const box = this.overlay.querySelector(`.box[data-line="${index}"]`)?.getBoundingClientRect();
    const frame = this.viewport.getBoundingClientRect();
    if (!box) return;
    const inside = box.left >= frame.left && box.right <= frame.right && box.top >= frame.top && box.bottom <= frame.bottom;
    if (inside) return;
    this.viewport.scrollBy({
      left: box.left + box.width / 2 - frame.left - frame.width / 2,
      top: box.top + box.height / 2 - frame.top - frame.height / 2,
      behavior: scrollBehavior(),
    });
  }

  // --- one page ---------------------------------------------------------------------------

  #turnTo(page) {
    if (page === this.page) return;
    this.page = page;
    this.zoom = null;
    this.#redraw();
  }

  #redraw() {
    this.#drawPage();
    this.words();
  }

  // Of the pages that were read or are to be read.
  #firstPage() {
    return this.record?.image.page_sizes[0].page ?? (Number.parseInt(this.entry.pages, 10) || 1);
  }

  // The file itself where the browser shows it upright as the gateway saw it, then the page as the gateway draws it, then
  // the kept thumbnail, which is of the first page that was read, then the lines alone. A file that never had to leave
  // this device does so for its picture's sake only when it is told to.
  #drawPage() {
    const { entry, page } = this;
    const file = page === 1 && !this.broken.has("file");
    this.drawing = !file && entry.sent && entry.state !== "failed" ? this.drawings.of(entry, page) : null;
    const candidates = [];
    if (file) candidates.push(["file", entry.url]);
    if (this.drawing?.state === "drawn") candidates.push(["drawing", this.drawing.url]);
    if (page === this.#firstPage() && !this.broken.has("thumbnail") && entry.thumbnail) candidates.push(["thumbnail", entry.thumbnail]);
    const [source, address] = candidates[0] ?? [this.record ? "layout" : "none"];
    this.source = source;
    this.image.hidden = address === undefined;
    if (address === undefined) this.image.removeAttribute("src");
    else if (this.image.getAttribute("src") !== address) this.image.src = address;
    this.#drawBoxes();
    this.#fit();
  }

  #size() {
    const { record, image } = this;
    const size = record?.image.page_sizes.find(({ page }) => page === this.page);
    if (size) return [size.width, size.height];
    return image.naturalWidth ? [image.naturalWidth, image.naturalHeight] : [4, 3];
  }

  #drawBoxes() {
    const [width, height] = this.#size();
    this.overlay.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const written = this.source === "layout";
    fill(this.overlay, this.record ? boxesOf(this.record, this.page, { isLow: this.isLow, written }) : []);
    this.#drawMarks();
    this.sheet.classList.toggle("blank", this.source === "layout");
    this.sheet.classList.toggle("bare", !this.showBoxes && this.source !== "layout");
  }

  #pictureLoaded() {
    if (!this.record) return this.#fit();
    const [width, height] = this.#size();
    const { naturalWidth, naturalHeight } = this.image;
    // A browser that ignores an orientation mark, or shows another part of the file: the boxes would not fit.
    const skew = Math.abs(naturalWidth / naturalHeight / (width / height) - 1);
    if (naturalWidth && skew > 2 / Math.min(naturalWidth, naturalHeight) + 0.005) this.#pictureFailed();
  }

  #pictureFailed() {
    if (this.source === "drawing") this.drawing.state = "failed";
    else this.broken.add(this.source);
    this.#redraw();
  }

  // --- zoom -------------------------------------------------------------------------------

  #fit() {
    const [width, height] = this.#size();
    const { clientWidth } = this.viewport;
    const tallest = Number.parseFloat(getComputedStyle(this.viewport).maxHeight);
    const whole = Math.min(clientWidth, (tallest * width) / height);
    this.fitted = whole;
    this.zoom ??= whole < NARROW * clientWidth ? (0.8 * clientWidth) / whole : 1;
    this.sheet.style.width = `${Math.floor(this.fitted * this.zoom)}px`;
    this.sheet.style.aspectRatio = `${width} / ${height}`;
  }

  /** Zooms, keeping the given point of the frame (by default its middle) where it is. */
  #zoomTo(zoom, clientX, clientY) {
    const frame = this.viewport.getBoundingClientRect();
    const before = this.sheet.getBoundingClientRect();
    const x = clientX ?? frame.left + frame.width / 2, y = clientY ?? frame.top + frame.height / 2;
    const across = (x - before.left) / before.width, down = (y - before.top) / before.height;
    this.zoom = Math.min(Math.max(zoom, STEPS[0]), STEPS.at(-1));
    this.#fit();
    const after = this.sheet.getBoundingClientRect();
    this.viewport.scrollBy(after.left + across * after.width - x, after.top + down * after.height - y);
    this.#drawTools();
  }

  #step(direction) {
    const current = this.zoom;
    const next = direction > 0
      ? STEPS.find((step) => step > current + 0.01)
      : STEPS.findLast((step) => step < current - 0.01);
    this.#zoomTo(next ?? current);
  }

  #drawTools() {
    const focused = this.tools.contains(document.activeElement) ? document.activeElement.dataset.tool : null;
    const tool = (name, action, words, content, properties = {}) =>
      h("button", { type: "button", class: "tool", "data-tool": name, "aria-label": words, title: words, onclick: action, ...properties }, content);
    const pages = this.record?.image.pages ?? 1;
    const numbers = this.record?.image.page_sizes.map(({ page }) => page) ?? [1];
    const at = numbers.indexOf(this.page);
    fill(this.tools,
      tool("out", () => this.#step(-1), t("zoomOut"), icon(ICONS.minus)),
      h("output", { class: "percent" }, `${number(Math.round(this.zoom * 100))}%`),
      tool("in", () => this.#step(1), t("zoomIn"), icon(ICONS.plus)),
      tool("fit", () => this.#zoomTo(1), t("zoomFitHelp"), t("zoomFit")),
      this.record && tool("boxes", () => this.#toggleBoxes(), t("boxesHelp"), t("boxes"), { "aria-pressed": String(this.showBoxes) }),
      numbers.length > 1 && h("span", { class: "pages" },
        tool("previous", () => this.#turnTo(numbers[at - 1]), t("previousPage"), icon(ICONS.left), { disabled: at <= 0 }),
        h("span", {}, `${number(this.page)} / ${number(Math.max(pages, numbers.at(-1)))}`),
        tool("next", () => this.#turnTo(numbers[at + 1]), t("nextPage"), icon(ICONS.right), { disabled: at >= numbers.length - 1 }),
      ));
    const pressable = (selector) => this.tools.querySelector(`${selector}:enabled`);
    // On the first page and on the last, one of the page buttons can neither be pressed nor have the focus.
    if (focused) (pressable(`[data-tool="${focused}"]`) ?? pressable(".pages .tool"))?.focus();
  }

  #toggleBoxes() {
    this.showBoxes = !this.showBoxes;
    this.#drawBoxes();
    this.#drawTools();
  }

  // --- events -----------------------------------------------------------------------------

  #listen() {
    this.image.addEventListener("load", () => this.#pictureLoaded());
    this.image.addEventListener("error", () => this.#pictureFailed());
    new ResizeObserver(() => this.entry && this.#fit()).observe(this.viewport);

    const lineOf = (event) => {
      const line = event.target.closest?.(".box")?.dataset.line;
      return line === undefined ? null : Number(line);
    };
    this.overlay.addEventListener("pointerover", (event) => this.pointed(lineOf(event)));
    this.overlay.addEventListener("pointerleave", () => this.pointed(null));
    this.overlay.addEventListener("click", (event) => {
      if (!this.dragged && lineOf(event) !== null) this.chosen(lineOf(event));
    });

    this.viewport.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      this.#zoomTo(this.zoom * Math.exp(-event.deltaY / 300), event.clientX, event.clientY);
    }, { passive: false });
    this.viewport.addEventListener("dblclick", (event) =>
      this.#zoomTo(this.zoom > 1.01 ? 1 : 2, event.clientX, event.clientY));
    this.viewport.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const action = { "+": () => this.#step(1), "=": () => this.#step(1), "-": () => this.#step(-1), 0: () => this.#zoomTo(1) }[event.key];
      if (!action) return;
      event.preventDefault();
      action();
    });
    this.#listenToDrags();
  }

  // A mouse drags the page; fingers scroll it natively.
  #listenToDrags() {
    this.viewport.addEventListener("pointerdown", (event) => {
      this.dragged = false;
      if (event.pointerType !== "mouse" || event.button !== 0) return;
      const start = { x: event.clientX, y: event.clientY, left: this.viewport.scrollLeft, top: this.viewport.scrollTop };
      const move = ({ clientX, clientY }) => {
        if (Math.hypot(clientX - start.x, clientY - start.y) > 4) this.dragged = true;
        if (this.dragged) this.viewport.scrollTo(start.left + start.x - clientX, start.top + start.y - clientY);
      };
      const stop = () => {
        window.removeEventListener("pointermove", move);
        window.removeEventListener("pointerup", stop);
      };
      window.addEventListener("pointermove", move);
      window.addEventListener("pointerup", stop);
    });
  }
}
