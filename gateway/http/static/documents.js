// The documents on the desk and their way through the gateway.
// States: waiting → fingerprint → asking → (sending → reading) → done | failed | cancelled.

import { fingerprint, forget, lookUp, Problem, recognise, thumbnail } from "./api.js";
import { mayHavePages } from "./pages.js";

const AT_ONCE = 2; // One document's upload overlaps another's reading; more would only queue at the gateway.
const SETTLED = new Set(["done", "failed", "cancelled"]);

export class Documents {
  /** `changed(entry)` is called whenever an entry's state or progress changes, or the list does. */
  constructor(changed) {
    this.entries = [];
    this.changed = changed;
  }

  /**
   * Adds files; each entry `{name, file, url, state, fresh, pages, sent, …}` starts as soon as there is room. `sent`
   * tells whether the file itself has left this device.
   */
  add(files, { fresh }) {
    const added = files.map((file) => ({ name: file.name, file, url: URL.createObjectURL(file), fresh, pages: "", sent: false, state: "waiting" }));
    this.entries.push(...added);
    for (const entry of added) this.#queue(entry);
    this.#next();
    return added;
  }

  /** Runs an entry again; with `fresh` the picture is read anew. `pages`: a range of them, "" for all. */
  again(entry, { fresh, pages = entry.pages }) {
    if (!settled(entry)) return;
    Object.assign(entry, { fresh, pages });
    this.#queue(entry);
    this.#next();
  }

  /** Runs everything again that was refused for want of an API key. */
  retryRefused() {
    for (const entry of this.entries) if (entry.problem?.kind === 401) this.again(entry, { fresh: entry.fresh });
  }

  /** Reads other pages of an entry, whatever becomes of those that are being read. */
  async readPages(entry, pages) {
    this.cancel(entry);
    await entry.running;
    this.again(entry, { fresh: entry.fresh, pages });
  }

  cancel(entry) {
    if (settled(entry)) return;
    entry.abort.abort();
    if (entry.state === "waiting") this.#become(entry, "cancelled");
  }

  remove(entry) {
    this.cancel(entry);
    this.entries = this.entries.filter((other) => other !== entry);
    for (const url of [entry.url, entry.thumbnail]) if (url?.startsWith("blob:")) URL.revokeObjectURL(url);
    this.changed(entry);
  }

  /** Deletes the result of an entry from everywhere; whether that was confirmed. */
  forget(entry) {
    return forget(entry.record.id);
  }

  /** What was recognised, in the order added. */
  results() {
    return this.entries.filter((entry) => entry.state === "done");
  }

  busy() {
    return this.entries.some((entry) => !settled(entry));
  }

  #queue(entry) {
    if (entry.thumbnail?.startsWith("blob:")) URL.revokeObjectURL(entry.thumbnail);
    Object.assign(entry, { problem: null, answer: null, record: null, thumbnail: null, fraction: 0, page: null, abort: new AbortController() });
    this.#become(entry, "waiting");
  }

  #become(entry, state) {
    entry.state = state;
    entry.since = performance.now();
    this.changed(entry);
  }

  #next() {
    const running = this.entries.filter((entry) => !settled(entry) && entry.state !== "waiting").length;
    const waiting = this.entries.filter((entry) => entry.state === "waiting");
    for (const entry of waiting.slice(0, Math.max(0, AT_ONCE - running))) entry.running = this.#run(entry);
  }

  async #run(entry) {
    const { signal } = entry.abort;
    try {
      entry.answer = (entry.fresh ? null : await this.#lookUp(entry, signal)) ?? (await this.#send(entry, signal));
      entry.record = entry.answer.record;
      entry.thumbnail = await thumbnail(entry.record, signal);
      this.#become(entry, "done");
    } catch (error) {
      if (error.name === "AbortError") {
        this.#become(entry, "cancelled");
      } else {
        entry.problem = error instanceof Problem ? error : new Problem("other");
        this.#become(entry, "failed");
        if (!(error instanceof Problem)) throw error; // Our own mistake: let the console show it.
      }
    } finally {
      this.#next();
    }
  }

  async #lookUp(entry, signal) {
    this.#become(entry, "fingerprint");
    const id = await fingerprint(entry.file, entry.pages, signal);
    signal.throwIfAborted();
    if (id === null) return null;
    this.#become(entry, "asking");
    return lookUp(id, signal);
  }

  #send(entry, signal) {
    this.#become(entry, "sending");
    const onSent = (fraction) => {
      entry.fraction = fraction;
      entry.sent ||= fraction === 1;
      if (fraction < 1) this.changed(entry);
      else if (entry.state === "sending") this.#become(entry, "reading");
    };
    const onPage = (done, total) => {
      entry.page = { done, total };
      this.changed(entry);
    };
    const several = mayHavePages(entry.file);
    return recognise(entry.file, { fresh: entry.fresh, pages: entry.pages, signal, onSent, onPage: several && onPage });
  }
}

export const settled = (entry) => SETTLED.has(entry.state);
