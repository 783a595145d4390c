// Small helpers to build the page. Text goes in as text nodes only: a document's words are never parsed as HTML.

/** `h("button", {type: "button", onclick, class: "plain"}, "words", child)`; null and false children are left out. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
}

/** An SVG element. */
export function s(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A line icon from one path drawn on a 16 by 16 grid. */
export const icon = (path) => s("svg", { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true" }, s("path", { d: path }));

export const ICONS = {
  close: "M4 4l8 8M12 4l-8 8",
  copy: "M5.5 5.5h7v8h-7zM3.5 10.5v-8h7",
  minus: "M3 8h10",
  plus: "M3 8h10M8 3v10",
  left: "M10 3L5 8l5 5",
  right: "M6 3l5 5-5 5",
  check: "M3 8.5l3.5 3.5L13 4.5",
  warn: "M8 2.5l6 11H2zM8 6.5v3.5M8 11.8v.2",
};

/** Makes `element` hold exactly `children`. */
export const fill = (element, ...children) =>
  element.replaceChildren(...children.flat().filter((child) => child != null && child !== false));

const prefersLess = matchMedia("(prefers-reduced-motion: reduce)");
export const scrollBehavior = () => (prefersLess.matches ? "auto" : "smooth");
