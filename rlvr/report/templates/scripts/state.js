"use strict";
document.documentElement.classList.add("js");

// The data of the sections, by their ids: the script only shows, sorts and recolours what Python computed.
const DATA = JSON.parse(document.getElementById("data").textContent);
const all = (selector, within = document) => Array.from(within.querySelectorAll(selector));

// Set attributes; make a new element, whose text is always set as text, never as markup.
const SVG = "http://www.w3.org/2000/svg";
function put(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
function make(tag, text = "", attributes = {}, ...children) {
  const element = tag.startsWith("svg:") ? document.createElementNS(SVG, tag.slice(4)) : document.createElement(tag);
  element.append(text, ...children);
  return put(element, attributes);
}

// What the reader has chosen is in the fragment of the address, `#methods?by=cost&pin=dora,pissa`: the anchor,
// then one query for the whole page, so that a copied link shows the same.
const state = {
  listeners: [],
  parse() {
    const [target, query] = location.hash.slice(1).split("?"); // encoded: a part of it may hold a "/" or "?"
    Object.assign(state, { target, query: new URLSearchParams(query) });
  },
  get: (key, otherwise = "") => state.query.get(key) ?? otherwise,
  list: (key) => state.get(key).split(",").filter(Boolean),
  // Set some keys ("" removes one) without a new entry in the history; `target`: the anchor to be left in the address.
  set(changes, target = state.target) {
    for (const [key, value] of Object.entries(changes)) value ? state.query.set(key, value) : state.query.delete(key);
    const query = state.query.toString().replaceAll("%2C", ",").replaceAll("%2F", "/");
    history.replaceState(null, "", `#${target}${query && `?${query}`}`);
    state.target = target;
    for (const listener of state.listeners) listener();
  },
  // Call a function now and whenever the state changes.
  watch(listener) {
    state.listeners.push(listener);
    listener();
  },
};
state.parse();

// A control with a `data-key` shows what the address says, and writes what is chosen into the address. Its first
// value is not written, and stands for one that the address has but the control does not know.
const firstValue = (control) => control.defaultValue ?? (control.querySelector("[selected]") ?? control.options[0])?.value ?? "";
for (const control of all("[data-key]")) {
  const { key } = control.dataset, anchor = control.closest("[data-anchor]")?.dataset.anchor, first = firstValue(control);
  state.watch(() => {
    control.value = state.get(key, first);
    if (control.selectedIndex === -1) control.value = first;
  });
  control.addEventListener("input", () => state.set({ [key]: control.value === first ? "" : control.value }, anchor));
}

// Open what the anchor is in, and go there: the browser does not know an anchor that a query follows.
function goToTarget() {
  const element = document.getElementById(state.target);
  for (const details of all("details")) details.open ||= details.contains(element);
  element?.scrollIntoView({ behavior: "instant" });
}

// A link to an anchor of the page keeps the query.
window.addEventListener("hashchange", () => {
  const { query } = state;
  state.parse();
  if (!location.hash.includes("?")) state.query = query;
  state.set({});
  goToTarget();
});

// Pins: a row, a line or a dot that is pinned has its colour everywhere (`data-v`, class pin-0 .. pin-5).
document.addEventListener("click", ({ target }) => {
  const key = target.closest?.("[data-pin]")?.dataset.pin, pins = state.list("pin");
  if (key) state.set({ pin: (pins.includes(key) ? pins.filter((one) => one !== key) : [...pins, key]).join() });
});
function colourPins() {
  const pins = state.list("pin");
  for (const element of all("[data-v]")) {
    element.classList.remove(...[0, 1, 2, 3, 4, 5].map((colour) => `pin-${colour}`));
    const index = pins.indexOf(element.dataset.v);
    if (index >= 0) element.classList.add(`pin-${index % 6}`);
  }
  for (const pin of all("button[data-pin]")) put(pin, { "aria-pressed": pins.includes(pin.dataset.pin) });
}
