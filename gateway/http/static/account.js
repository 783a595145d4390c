// Who is asking: the API key, where the server wants one. It stays in this tab (sessionStorage) and goes nowhere else.

const REMEMBERED = "api-key";

let apiKey = remembered();
let known = null;

function remembered() {
  try {
    return sessionStorage.getItem(REMEMBERED);
  } catch { // Storage may be forbidden; the key then lives as long as the page.
    return null;
  }
}

/** The headers that a call needs. */
export const credentials = () => (apiKey ? { Authorization: `Bearer ${apiKey}` } : {});

/** Whether calls are made with a key. */
export const isKeyed = () => apiKey !== null;

/**
 * The key of this tenant's ids as bytes; null where ids are plain SHA-256, undefined where a key is needed first:
 * without one not even a fingerprint leaves this device.
 */
export async function lookupKey(signal) {
  known ??= await ask(apiKey, signal);
  return known;
}

/** Takes `key` for this and later calls when the server accepts it; whether it did. */
export async function useKey(key, signal) {
  // A header holds visible ASCII only.
  if (!/^[\x21-\x7e]+$/.test(key)) return false;
  const answer = await ask(key, signal);
  if (answer === undefined) return false;
  apiKey = key;
  known = answer;
  try {
    sessionStorage.setItem(REMEMBERED, key);
  } catch { /* Not remembered where storage is forbidden. */ }
  return true;
}

/** Forgets what was known, after a refusal: the key may have been revoked, or keys been turned on. */
export function doubt() {
  known = null;
}

async function ask(key, signal) {
  let response;
  try {
    const headers = key ? { Authorization: `Bearer ${key}` } : {};
    response = await fetch("/account", { signal, cache: "no-store", credentials: "omit", headers });
    if (response.status === 401 || response.status === 403) return undefined;
    if (response.ok) return bytes((await response.json()).lookup_key);
  } catch (error) {
    if (error.name === "AbortError") throw error;
  }
  // Nobody said that a key is needed: the edge answers look-ups while the gateways are away.
  return key ? undefined : null;
}

const bytes = (hex) => (hex ? Uint8Array.from(hex.match(/../g), (pair) => Number.parseInt(pair, 16)) : null);
