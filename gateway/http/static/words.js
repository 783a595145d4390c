// The choice between the languages, and how words, numbers and times are put in them.

import { CHINESE, ENGLISH } from "./dictionary.js";

const LANGUAGES = { en: ENGLISH, zh: CHINESE };
const TAGS = { en: "en", zh: "zh-CN" };
const REMEMBERED = "language";

let language = remembered() ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");

function remembered() {
  try {
    const stored = localStorage.getItem(REMEMBERED);
    return stored in LANGUAGES ? stored : null;
  } catch { // Storage may be forbidden; the browser's own language then decides each time.
    return null;
  }
}

export function switchLanguage() {
  language = language === "zh" ? "en" : "zh";
  try {
    localStorage.setItem(REMEMBERED, language);
  } catch { /* Not remembered where storage is forbidden. */ }
}

/** BCP 47 tag of the language in use. */
export const languageTag = () => TAGS[language];

/** The word for `key`, its `{placeholders}` filled; `values.n` chooses between singular and plural. */
export function t(key, values = {}) {
  let word = LANGUAGES[language][key];
  if (typeof word === "object") word = word[new Intl.PluralRules(languageTag()).select(values.n)] ?? word.other;
  return word.replace(/\{(\w+)\}/g, (_, name) => (name === "n" ? number(values.n) : values[name]));
}

/** The word for a key made from the server's answer, or null when this page has none. */
export const tOrNull = (key, values) => (key in LANGUAGES[language] ? t(key, values) : null);

export const number = (value) => new Intl.NumberFormat(languageTag()).format(value);

/** A score in 0..1 as a percentage, rounded down so that only certainty shows as 100 %. */
export const score = (value) =>
  new Intl.NumberFormat(languageTag(), { style: "percent" }).format(Math.floor(value * 100 + 1e-9) / 100);

export function duration(milliseconds) {
  const seconds = milliseconds >= 1000;
  const decimals = (seconds && milliseconds < 10_000) || milliseconds < 10 ? 1 : 0;
  return new Intl.NumberFormat(languageTag(), {
    style: "unit", unit: seconds ? "second" : "millisecond", unitDisplay: "short",
    minimumFractionDigits: decimals, maximumFractionDigits: decimals,
  }).format(seconds ? milliseconds / 1000 : milliseconds);
}

/** A time within a week or so of now: without the year. */
export const moment = (date) =>
  new Intl.DateTimeFormat(languageTag(), { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" }).format(date);

/** Fills every element that names its word by `data-t`, `data-t-label` or `data-t-title`. */
export function fillWords(root) {
  root.documentElement.lang = languageTag();
  root.title = t("name");
  for (const element of root.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of root.querySelectorAll("[data-t-label]")) {
    element.setAttribute("aria-label", t(element.dataset.tLabel));
  }
  for (const element of root.querySelectorAll("[data-t-title]")) element.title = t(element.dataset.tTitle);
}
