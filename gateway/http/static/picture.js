// The picture of a document with its lines' boxes: page by page, zoomable.

import { fill, h, icon, ICONS, s, scrollBehavior } from "./dom.js";
import { number, t } from "./words.js";

const STEPS = [1, 1.25, 1.5, 2, 3, 4, 6, 8];
const NARROW = 0.55; // A page that would fill less than this part of the frame's width starts enlarged.

export class Picture {
  /** `pointed(index|null)` and `chosen(index)` tell which line's box the pointer is on or was clicked. */
  constructor(root, { pointed, chosen }) {
    this.root = root;
    this.pointed = pointed;
    this.chosen = chosen;
    this.zoom = 1;
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
      this.#drawPage();
    }
    this.words();
  }

  /** The parts that are words, after a change of language too. */
  words() {
    if (!this.entry) return;
    const name = this.entry.name || t("unnamed");
    this.image.alt = t("pictureOf", { name });
    this.viewport.setAttribute("aria-label", t("viewport"));
    this.tools.setAttribute("aria-label", t("tools"));
    const none = this.entry.state === "failed" ? "" : t("noPreview");
    const note = { thumbnail: t("onlyThumbnail"), layout: t("onlyLayout"), none }[this.source] ?? "";
    this.note.hidden = note === "";
    this.note.textContent = note;
    this.tools.hidden = this.viewport.hidden = this.source === "none";
    this.root.hidden = this.source === "none" && note === "";
    this.#drawTools();
  }

  /** Marks the line that is pointed at (or null) and the chosen one. */
  mark(pointed, chosen) {
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
    this.#drawPage();
    this.words();
  }

  // Of the pages that were read; the file's own first one before that.
  #firstPage() {
    return this.record?.image.page_sizes[0].page ?? 1;
  }

  // The file itself where the browser shows it upright as the gateway saw it, then the kept thumbnail, then the lines
  // alone. Only the first page that was read has a picture.
  #drawPage() {
    const candidates = [];
    if (this.page === 1) candidates.push(["file", this.entry.url]);
    if (this.page === this.#firstPage() && this.entry.thumbnail) candidates.push(["thumbnail", this.entry.thumbnail]);
    const [source, address] = candidates.find(([name]) => !this.broken.has(name)) ?? [this.record ? "layout" : "none"];
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
    const lines = this.record?.lines ?? [];
    const onPage = [...lines.entries()].filter(([, line]) => line.page === this.page);
    fill(this.overlay, onPage.flatMap(([index, line]) => {
      const box = s("polygon", {
        class: this.isLow(line) ? "box low" : "box",
        points: line.box.map((corner) => corner.join(",")).join(" "),
        "data-line": index,
      });
      return this.source === "layout" ? [box, layoutText(line)] : [box];
    }));
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
    this.broken.add(this.source);
    this.#drawPage();
    this.words();
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
    if (focused) this.tools.querySelector(`[data-tool="${focused}"]`)?.focus();
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

function layoutText(line) {
  const [topLeft, topRight, , bottomLeft] = line.box;
  const length = Math.hypot(topRight[0] - topLeft[0], topRight[1] - topLeft[1]);
  const height = Math.hypot(bottomLeft[0] - topLeft[0], bottomLeft[1] - topLeft[1]);
  const angle = (Math.atan2(topRight[1] - topLeft[1], topRight[0] - topLeft[0]) * 180) / Math.PI;
  const text = s("text", {
    x: 0, y: 0, "font-size": 0.75 * height, textLength: length, lengthAdjust: "spacingAndGlyphs",
    transform: `translate(${bottomLeft[0]} ${bottomLeft[1]}) rotate(${angle}) translate(0 ${-0.2 * height})`,
  });
  text.textContent = line.text;
  return text;
}
