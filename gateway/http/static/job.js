// A reading that nobody waits for at the other end: asked after until its result is there.

import { credentials } from "./account.js";

const FIRST_PAUSE = 300; // Milliseconds; each pause is half as long again as the one before.
const LONGEST_PAUSE = 2000;
const MOST_MISSED = 5; // Questions in a row without an answer, after which nobody is there any more.
const AWAY = new Set([502, 503, 504]); // What an edge says while gateways are being replaced; the next one has the job.

/**
 * Asks after the job at `address` until it has ended; the response is its result's, or that of a refusal.
 * `onPage(done, total)` hears of the pages.
 */
export async function ended(address, { signal, onPage }) {
  let missed = 0;
  for (let pause = FIRST_PAUSE; ; pause = Math.min(LONGEST_PAUSE, 1.5 * pause)) {
    await delay(pause, signal);
    let response;
    try {
      response = await fetch(address, {
        signal, cache: "no-store", credentials: "omit", headers: { Accept: "application/json", ...credentials() },
      });
    } catch (error) {
      if (error.name === "AbortError" || ++missed > MOST_MISSED) throw error;
      continue;
    }
    if (AWAY.has(response.status) && ++missed <= MOST_MISSED) continue;
    missed = 0;
    if (response.redirected || !response.ok) return response;
    const job = await response.json();
    if (job.status === "failed") return new Response(JSON.stringify(job.error), { status: job.error.status });
    onPage(job.progress.done, job.progress.total);
  }
}

function delay(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("cancelled", "AbortError"));
    }, { once: true });
  });
}
