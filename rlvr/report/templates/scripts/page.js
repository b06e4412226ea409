// What belongs to the page as a whole. The last file of the script.

// A region, and a stop for the tab key, only where something scrolls.
function markRegions() {
  for (const box of all("[data-scroll]")) {
    const role = box.tagName === "FIGURE" ? {} : { role: "region" }; // a figure has a role
    if (box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1) {
      put(box, { tabindex: 0, "aria-label": box.dataset.scroll, ...role });
    } else for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
  }
}
markRegions();
window.addEventListener("resize", markRegions);
document.addEventListener("toggle", markRegions, true);

// The navigation marks the part in view.
const entries = all("nav a");
const inView = new IntersectionObserver((changes) => {
  for (const { target } of changes.filter(({ isIntersecting }) => isIntersecting)) {
    for (const a of entries) a.removeAttribute("aria-current");
    put(entries.find((a) => a.hash === `#${target.id}`), { "aria-current": "true" });
  }
}, { rootMargin: "-20% 0px -70% 0px" });
for (const a of entries) inView.observe(document.querySelector(a.hash));

// Figures of which one is shown at a time.
for (const figure of all(".alternatives")) {
  state.watch(() => {
    const { value } = figure.querySelector("select");
    for (const one of all(".alternative", figure)) one.classList.toggle("shown", one.dataset.name === value);
  });
}

state.watch(colourPins);
if (state.target) goToTarget();
