// Taking results out of the page: the clipboard and files.

import { checkWords, FIELDS } from "./fields.js";
import { t } from "./words.js";

/** Plain text of several results, each under its file's name; of one result, its text alone. */
export function asText(results) {
  if (results.length === 1) return results[0].record.text;
  return results.map(({ name, record }) => `# ${name}\n${record.text}`).join("\n\n");
}

/** The record as the server sent it; several as a batch is answered, `{"results": […]}`. */
export function asJson(results) {
  const records = results.map(({ record }) => record);
  return JSON.stringify(records.length === 1 ? records[0] : { results: records }, null, 2) + "\n";
}

/** RFC 4180 with the columns of `/results/<id>/lines.csv`; the file's name goes first when there are several. */
export function asCsv(results) {
  const several = results.length > 1;
  const rows = [[...(several ? ["file"] : []), "page", "text", "score", "x1", "y1", "x2", "y2"]];
  for (const { name, record } of results) {
    record.lines.forEach((line, index) =>
      rows.push([...(several ? [name] : []), line.page, line.text, line.score, ...record.boxes[index]]));
  }
  return table(rows);
}

/** The invoices among the results as a spreadsheet: a row each, with what has to be checked by eye in the last column. */
export function asInvoices(results) {
  const rows = [[t("file"), ...FIELDS.map((name) => t(`field_${name}`)), t("toCheck")]];
  for (const { name, record } of results.filter(isInvoice)) {
    const failed = Object.entries(record.fields).flatMap(([field, { checks }]) =>
      checks.filter(({ ok }) => !ok).map((check) => `${t(`field_${field}`)}: ${checkWords(check)}`));
    rows.push([name, ...FIELDS.map((field) => spelled(field, record.fields[field]?.value ?? "")), failed.join("; ")]);
  }
  return table(rows);
}

const isInvoice = ({ record }) => Object.keys(record.fields ?? {}).length > 0;

const AMOUNTS = new Set(["amount", "tax", "total", "total_in_words"]);

// A spreadsheet would round a number of twenty digits, and drop its leading zero; behind a tab it is text.
const spelled = (field, value) => (value !== "" && !AMOUNTS.has(field) && !Number.isNaN(Number(value)) ? `\t${value}` : value);

const table = (rows) => rows.map((row) => row.map(cell).join(",") + "\r\n").join("");

function cell(value) {
  let text = String(value);
  // A spreadsheet would run a document's text as a formula; signed amounts are no formulas.
  const formula = typeof value === "string" && /^[=+\-@\t\r]/.test(text);
  if (formula && Number.isNaN(Number(text.replaceAll(",", "")))) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const FORMATS = {
  text: { write: asText, type: "text/plain", ending: ".txt" },
  // The byte order mark makes spreadsheets read UTF-8.
  csv: { write: (results) => "\ufeff" + asCsv(results), type: "text/csv", ending: ".csv" },
  json: { write: asJson, type: "application/json", ending: ".json" },
  invoices: { write: (results) => "\ufeff" + asInvoices(results), type: "text/csv", ending: "-invoices.csv" },
};

/** The formats that `results` can be saved in. */
export const formatsOf = (results) => Object.keys(FORMATS).filter((format) => format !== "invoices" || results.some(isInvoice));

/** Saves results to a file named after the only document, or `results`. */
export function save(format, results) {
  const { write, type, ending } = FORMATS[format];
  const stem = results.length === 1 ? results[0].name.replace(/\.[^.]+$/, "") : "results";
  const address = URL.createObjectURL(new Blob([write(results)], { type: `${type};charset=utf-8` }));
  const link = document.createElement("a");
  link.href = address;
  link.download = `${stem}${ending}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** True when the text is on the clipboard. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyOldWay(text);
  }
}

// Without a secure context there is no navigator.clipboard.
function copyOldWay(text) {
  const focused = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  focused?.focus();
  return done;
}
