// The theme of a page: light, dark, or as the system has it; remembered for all reports where the browser lets it be.
const theme = (() => {
"use strict";

const root = document.documentElement, button = document.getElementById(":theme");
const THEMES = ["system", "light", "dark"], KEPT = "halfopen-theme";

function remembered() {
  try { return localStorage.getItem(KEPT); } catch { return null; }  // a file's page may have no store
}

function show(name) {
  if (name === "system") delete root.dataset.theme; else root.dataset.theme = name;
  button.textContent = `theme: ${name}`;
  try { localStorage.setItem(KEPT, name); } catch { /* it is not remembered, then */ }
  redraw();
}

function next() {
  show(THEMES[(THEMES.indexOf(root.dataset.theme || "system") + 1) % THEMES.length]);
}

const colour = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
let redraw;

// Canvases do not follow the style: what is drawn on them is drawn anew by `drawn_anew` whenever colours change.
function begin(drawn_anew) {
  redraw = drawn_anew;
  button.addEventListener("click", next);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  const name = remembered();
  show(THEMES.includes(name) ? name : "system");
}

return { begin, next, colour };
})();
