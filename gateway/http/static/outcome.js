// What the caches said about an answer, in plain words.

import { duration, moment, t, tOrNull } from "./words.js";

const ANSWERED_FROM_CACHE = new Set(["HIT", "STALE", "UPDATING", "REVALIDATED"]);

/** `{word, tone, sentence}`: the header's own word, `hit`, `partial` or `miss`, and what it means here. */
export function outcome({ answer, record, fresh, sent }) {
  const { word, uploaded } = answer;
  if (!uploaded) {
    if (sent) return { word: word || "HIT", tone: "hit", sentence: t("knownOther") };
    const elsewhere = word !== "" && !ANSWERED_FROM_CACHE.has(word);
    return { word: word || "HIT", tone: "hit", sentence: t(elsewhere ? "knownEdgeMiss" : "knownDevice") };
  }
  if (word === "PARTIAL") return { word, tone: "partial", sentence: t("partial", { n: record.match.reread_lines }) };
  if (word === "HIT") {
    const key = { exact: "knownExact", pixels: "knownPixels", near: "knownNear" }[record.match.kind] ?? "knownOther";
    return { word, tone: "hit", sentence: t(key) };
  }
  return { word: word || "MISS", tone: "miss", sentence: t(fresh ? "rereading" : "newReading") };
}

/** Pairs of label and value: the few that everybody wants, then the rest. */
export function facts({ answer, record }) {
  const main = [
    [t("answeredIn"), duration(answer.milliseconds)],
    [t("readingTook"), duration(record.processing_time_ms)],
    [t("from"), origin(answer)],
    [t("keptUntil"), moment(new Date(record.expires_at))],
  ];
  const more = [
    [t("matched"), tOrNull(`match_${record.match.kind}`) ?? record.match.kind],
    [t("readAt"), moment(new Date(record.created_at))],
    [t("engine"), `${record.engine.name} ${record.engine.revision}`],
    [t("fingerprintId"), record.id],
  ];
  return { main, more };
}

// Cache-Status lists the caches from the origin's side to ours. The edge replays the gateway's own member
// with the stored answer, so that an Age tells a copy that was kept on the way.
function origin({ caches, aged, uploaded }) {
  const hit = caches.findLast((cache) => cache.hit);
  if (!uploaded && (aged || (hit && hit.name !== "ocr-gateway"))) return t("tier_edge");
  if (!hit) return caches.length ? t("tier_reader") : "–";
  const detail = String(hit.detail ?? "");
  const tier = detail.split(/[^a-z0-9]+/i).map((word) => tOrNull(`tier_${word}`) ?? tOrNull(`match_${word}`)).find(Boolean);
  return tier ?? (detail || hit.name);
}
