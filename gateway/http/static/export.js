// Taking results out of the page: the clipboard and files.

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
  return rows.map((row) => row.map(cell).join(",") + "\r\n").join("");
}

function cell(value) {
  let text = String(value);
  // A spreadsheet would run a document's text as a formula; signed amounts are no formulas.
  const formula = typeof value === "string" && /^[=+\-@\t\r]/.test(text);
  if (formula && Number.isNaN(Number(text.replaceAll(",", "")))) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const FORMATS = {
  text: { write: asText, type: "text/plain", extension: "txt" },
  json: { write: asJson, type: "application/json", extension: "json" },
  // The byte order mark makes spreadsheets read UTF-8.
  csv: { write: (results) => "\ufeff" + asCsv(results), type: "text/csv", extension: "csv" },
};

/** Saves results to a file named after the only document, or `results`. */
export function save(format, results) {
  const { write, type, extension } = FORMATS[format];
  const stem = results.length === 1 ? results[0].name.replace(/\.[^.]+$/, "") : "results";
  const address = URL.createObjectURL(new Blob([write(results)], { type: `${type};charset=utf-8` }));
  const link = document.createElement("a");
  link.href = address;
  link.download = `${stem}.${extension}`;
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
