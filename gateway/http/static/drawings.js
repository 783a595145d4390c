// Pages that this browser cannot draw, drawn by the gateway: asked for one at a time, the last few remembered.

import { drawPage } from "./api.js";

const REMEMBERED = 8;

export class Drawings {
  /** `changed(drawing)` is called when a page that was asked for is there, or will not be. */
  constructor(changed) {
    this.changed = changed;
    this.drawings = []; // The one that was wanted last at the end.
  }

  /**
   * A page of an entry's file: `{entry, page, state, url}`, `state` being drawing, drawn or failed. One that is not
   * remembered is asked for; whoever turns to another page waits for that one alone.
   */
  of(entry, page) {
    let wanted = this.drawings.find((drawing) => drawing.entry === entry && drawing.page === page);
    for (const other of this.drawings) if (other !== wanted && other.state === "drawing") this.forget(other);
    if (!wanted) {
      wanted = { entry, page, state: "drawing", url: null, abort: new AbortController() };
      this.#ask(wanted);
    }
    this.drawings = [...this.drawings.filter((drawing) => drawing !== wanted), wanted];
    for (const old of this.drawings.slice(0, -REMEMBERED)) this.forget(old);
    return wanted;
  }

  /** So that it is asked for anew. */
  forget(drawing) {
    drawing.abort.abort();
    if (drawing.url) URL.revokeObjectURL(drawing.url);
    this.drawings = this.drawings.filter((other) => other !== drawing);
  }

  /** Forgets all pages of an entry. */
  forgetAll(entry) {
    for (const drawing of this.drawings) if (drawing.entry === entry) this.forget(drawing);
  }

  async #ask(drawing) {
    const { entry, page, abort } = drawing;
    try {
      drawing.url = await drawPage(entry.file, page, abort.signal);
    } catch (error) {
      if (error.name === "AbortError") return;
      throw error;
    }
    drawing.state = drawing.url ? "drawn" : "failed";
    this.changed(drawing);
  }
}
