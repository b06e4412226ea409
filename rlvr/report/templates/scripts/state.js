"use strict";
document.documentElement.classList.add("js");

// The data of the sections, by their ids: the script only shows, sorts and recolours what Python computed.
const DATA = JSON.parse(document.getElementById("data").textContent);

// A new element; a text is always set as text, never as markup.
const SVG = "http://www.w3.org/2000/svg";
function make(tag, text = "", attributes = {}, ...children) {
  const element = tag.startsWith("svg:") ? document.createElementNS(SVG, tag.slice(4)) : document.createElement(tag);
  if (text !== "") element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// What the reader has chosen is in the fragment of the address, `#methods?by=cost&pin=dora,pissa`: the anchor,
// then one query for the whole page, so that a copied link shows the same.
const state = {
  listeners: [],
  parse() {
    const [target, query] = location.hash.slice(1).split("?"); // encoded: a part of it may hold a "/" or "?"
    this.target = target || "";
    this.query = new URLSearchParams(query || "");
  },
  get(key, otherwise = "") {
    return this.query.get(key) ?? otherwise;
  },
  list(key) {
    return this.get(key).split(",").filter(Boolean);
  },
  // Set some keys ("" removes one) without a new entry in the history; `target` is the anchor to be left in the address.
  set(changes, target = this.target) {
    for (const [key, value] of Object.entries(changes)) {
      if (value === "" || value == null) this.query.delete(key);
      else this.query.set(key, value);
    }
    this.target = target;
    const query = this.query.toString().replaceAll("%2C", ",").replaceAll("%2F", "/");
    history.replaceState(null, "", `#${target}${query ? `?${query}` : ""}`);
    this.changed();
  },
  // Call a function now and whenever the state changes.
  watch(listener) {
    this.listeners.push(listener);
    listener();
  },
  changed() {
    for (const listener of this.listeners) listener();
  },
};
state.parse();

// A control with a `data-key` shows what the address says, and writes what is chosen into the address. Its first
// value is not written, and stands for one that the address has but the control does not know.
const firstValue = (control) => control.defaultValue ?? (control.querySelector("[selected]") ?? control.options[0])?.value ?? "";
for (const control of document.querySelectorAll("[data-key]")) {
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
  if (!element) return;
  for (let outer = element; outer; outer = outer.parentElement) {
    if (outer.tagName === "DETAILS") outer.open = true;
  }
  element.scrollIntoView({ behavior: "instant" });
}

// A link to an anchor of the page keeps the query.
window.addEventListener("hashchange", () => {
  const { target, query } = state;
  state.parse();
  if (!location.hash.includes("?") && query.size) {
    state.query = query;
    state.set({}, state.target);
  } else if (target !== state.target || query.toString() !== state.query.toString()) {
    state.changed();
  }
  goToTarget();
});

// Pins: a row, a line or a dot that is pinned has its colour everywhere (`data-v`, class pin-0 .. pin-5).
document.addEventListener("click", ({ target }) => {
  const pin = target.closest?.("[data-pin]");
  if (!pin) return;
  const pins = state.list("pin"), key = pin.dataset.pin;
  state.set({ pin: (pins.includes(key) ? pins.filter((one) => one !== key) : [...pins, key]).join() });
});
function colourPins() {
  const pins = state.list("pin");
  for (const element of document.querySelectorAll("[data-v]")) {
    const index = pins.indexOf(element.dataset.v);
    for (let colour = 0; colour < 6; colour += 1) element.classList.toggle(`pin-${colour}`, index >= 0 && index % 6 === colour);
  }
  for (const pin of document.querySelectorAll("button[data-pin]")) pin.setAttribute("aria-pressed", pins.includes(pin.dataset.pin));
}
