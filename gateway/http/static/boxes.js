// The boxes of a page's lines, in the pixels of the page.

import { s } from "./dom.js";

/** A polygon for each line of `page`; with `written` each has its text in it. `isLow(line)`: one to check by eye. */
export function boxesOf(record, page, { isLow, written }) {
  const onPage = [...record.lines.entries()].filter(([, line]) => line.page === page);
  return onPage.flatMap(([index, line]) => {
    const box = s("polygon", {
      class: isLow(line) ? "box low" : "box",
      points: line.box.map((corner) => corner.join(",")).join(" "),
      "data-line": index,
    });
    return written ? [box, textIn(line)] : [box];
  });
}

function textIn(line) {
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
