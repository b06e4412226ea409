// What belongs to the page as a whole. The last file of the script.

// A region, and a stop for the tab key, only where something scrolls.
function markRegions() {
  for (const box of document.querySelectorAll("[data-scroll]")) {
    const scrolls = box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1;
    if (scrolls) {
      box.tabIndex = 0;
      if (box.tagName !== "FIGURE") box.setAttribute("role", "region"); // a figure has a role
      box.setAttribute("aria-label", box.dataset.scroll);
    } else {
      for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
    }
  }
}
markRegions();
window.addEventListener("resize", markRegions);
document.addEventListener("toggle", markRegions, true);

// The navigation marks the part in view.
const entries = new Map(Array.from(document.querySelectorAll("nav a"), (a) => [a.hash.slice(1), a]));
const inView = new IntersectionObserver((changes) => {
  for (const { target, isIntersecting } of changes) {
    if (!isIntersecting) continue;
    for (const [id, a] of entries) {
      if (id === target.id) a.setAttribute("aria-current", "true");
      else a.removeAttribute("aria-current");
    }
  }
}, { rootMargin: "-20% 0px -70% 0px" });
for (const id of entries.keys()) inView.observe(document.getElementById(id));

// Figures of which one is shown at a time.
for (const figure of document.querySelectorAll(".alternatives")) {
  state.watch(() => {
    const { value } = figure.querySelector("select");
    for (const one of figure.querySelectorAll(".alternative")) one.classList.toggle("shown", one.dataset.name === value);
  });
}

state.watch(colourPins);
if (state.target) goToTarget();
