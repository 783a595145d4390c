// The calls to the gateway. A look-up sends only a document's fingerprint; the file travels when that is unknown.

import { credentials, doubt, isKeyed, lookupKey } from "./account.js";
import { ended } from "./job.js";

/** Why there is no result. `kind` chooses the heading; `detail` is the server's own advice, if it sent any. */
export class Problem extends Error {
  constructor(kind, { detail = null, retryAfter = null, requestId = null } = {}) {
    super(String(kind));
    Object.assign(this, { kind, detail, retryAfter, requestId });
  }
}

/**
 * The result id of a file: lower-case hex SHA-256 of its bytes, or HMAC-SHA256 of that digest where ids have a key, and
 * what stands for a range of `pages` ("" for all). Null where the browser offers no cryptography (a page served over plain HTTP from another
 * machine).
 */
export async function fingerprint(file, pages, signal) {
  const key = await lookupKey(signal);
  if (key === undefined) throw new Problem(401);
  if (!globalThis.crypto?.subtle) return null;
  let bytes;
  try {
    bytes = await file.arrayBuffer();
  } catch {
    throw new Problem("file");
  }
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  const name = hex(key ? await authenticated(key, digest) : digest);
  if (!pages) return name;
  const options = new TextEncoder().encode(`pages=${pages}`);
  return `${name}-${hex(await crypto.subtle.digest("SHA-256", options)).slice(0, 8)}`;
}

const hex = (buffer) => Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");

async function authenticated(key, message) {
  const imported = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return crypto.subtle.sign("HMAC", imported, message);
}

/** Where a result's thumbnail can be shown from; a picture element sends no key, so there it is fetched first. */
export async function thumbnail(record, signal) {
  if (!isKeyed()) return record.thumbnail;
  try {
    const options = { signal, cache: "no-store", credentials: "omit", headers: credentials() };
    const response = await fetch(record.thumbnail, options);
    return response.ok ? URL.createObjectURL(await response.blob()) : null;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    return null;
  }
}

/** A page of a file, counted from 1, drawn by the gateway as a blob: address; null when it does not. */
export async function drawPage(file, page, signal) {
  const headers = { "Content-Type": "application/octet-stream", ...credentials() };
  try {
    const response = await fetch(`/preview?page=${page}`, { method: "POST", signal, credentials: "omit", headers, body: file });
    return response.ok ? URL.createObjectURL(await response.blob()) : null;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    return null;
  }
}

/** The stored answer for an id, or null when there is none. */
export async function lookUp(id, signal) {
  const started = performance.now();
  let response, body;
  try {
    // Documents on a shared computer should not stay in the browser's own cache.
    // A cookie of another application on this host would keep the edge from answering out of its cache.
    response = await fetch(`/results/${id}`, {
      signal, cache: "no-store", credentials: "omit", headers: { Accept: "application/json", ...credentials() },
    });
    body = await response.text();
  } catch (error) {
    throw error.name === "AbortError" ? error : new Problem("network");
  }
  if (response.status === 404) return null;
  return answer(response.status, (name) => response.headers.get(name), body, { started, uploaded: false });
}

/** Deletes a result from everywhere; whether the gateway confirmed it. */
export async function forget(id) {
  try {
    const response = await fetch(`/results/${id}`, { method: "DELETE", credentials: "omit", headers: credentials() });
    return response.status === 204;
  } catch { // Not confirmed either.
    return false;
  }
}

/**
 * Sends the file to be recognised.
 * `fresh` forces a new reading, `pages` is a range of them or "" for all; `onSent(fraction)` hears how much of the file
 * has left, 1 when reading begins. With `onPage(done, total)` it is read as a job, however long that takes.
 */
export async function recognise(file, { fresh, pages, signal, onSent, onPage }) {
  const started = performance.now();
  const query = new URLSearchParams({ ...(pages && { pages }), ...(fresh && { match: "none" }) }).toString();
  const sent = await send(file, query ? `/ocr?${query}` : "/ocr", { asynchronous: Boolean(onPage), signal, onSent });
  if (sent.status !== 202) return answer(sent.status, sent.header, sent.body, { started, uploaded: true });
  let response, body;
  try {
    response = await ended(sent.header("Location"), { signal, onPage });
    body = await response.text();
  } catch (error) {
    throw error.name === "AbortError" ? error : new Problem("network");
  }
  const found = answer(response.status, (name) => response.headers.get(name), body, { started, uploaded: true });
  return { ...found, ...wordOfJob(found.record, Date.parse(sent.header("Date"))) };
}

// A job's result is looked up, so what the caches say of it is of the look-up and not of the reading.
function wordOfJob({ match, created_at }, asked) {
  const { kind } = match;
  if (kind === "partial") return { word: "PARTIAL", caches: [{ name: "ocr-gateway", fwd: "partial", detail: kind }] };
  if (kind === "none" && Date.parse(created_at) >= asked) {
    return { word: "MISS", caches: [{ name: "ocr-gateway", fwd: "uri-miss" }] };
  }
  return { word: "HIT", caches: [{ name: "ocr-gateway", hit: true, detail: kind === "none" ? "exact" : kind }] };
}

function send(file, address, { asynchronous, signal, onSent }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch() does not tell the progress of an upload.
    const abort = () => request.abort();
    request.open("POST", address);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("Content-Type", "application/octet-stream");
    if (asynchronous) request.setRequestHeader("Prefer", "respond-async");
    for (const [name, value] of Object.entries(credentials())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onSent(event.total ? event.loaded / event.total : 0);
    request.upload.onload = () => onSent(1);
    request.onload = () =>
      resolve({ status: request.status, header: (name) => request.getResponseHeader(name), body: request.responseText });
    request.onerror = () => reject(new Problem("network"));
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    request.onloadend = () => signal.removeEventListener("abort", abort);
    signal.addEventListener("abort", abort);
    if (signal.aborted) return reject(new DOMException("cancelled", "AbortError"));
    request.send(file);
  });
}

function answer(status, header, body, { started, uploaded }) {
  let json = null;
  try {
    json = JSON.parse(body);
  } catch { /* Something in between answered, and not in JSON. */ }
  if (status === 401) doubt();
  if (status !== 200) {
    const seconds = Number.parseInt(header("Retry-After"), 10);
    throw new Problem(status, {
      detail: json?.detail ?? null,
      retryAfter: Number.isNaN(seconds) ? null : seconds,
      requestId: json?.request_id ?? null,
    });
  }
  if (!Array.isArray(json?.lines)) throw new Problem("answer");
  return {
    record: json,
    uploaded,
    word: header("X-Cache-Status") ?? "",
    caches: parseCacheStatus(header("Cache-Status") ?? ""),
    aged: header("Age") !== null,
    milliseconds: performance.now() - started,
  };
}

/** RFC 9211: the caches on the way, origin's first, each `{name, hit, fwd, detail, …}`. */
export function parseCacheStatus(value) {
  const list = value.match(/(?:[^,"]|"(?:[^"\\]|\\.)*")+/g) ?? [];
  return list.map((member) => {
    const [name, ...parameters] = member.match(/(?:[^;"]|"(?:[^"\\]|\\.)*")+/g).map((part) => part.trim());
    const cache = { name: unquote(name) };
    for (const parameter of parameters) {
      const [key, ...rest] = parameter.split("=");
      cache[key] = rest.length ? unquote(rest.join("=")) : true;
    }
    return cache;
  });
}

const unquote = (text) => (text.startsWith('"') ? text.slice(1, -1).replace(/\\(.)/g, "$1") : text);
