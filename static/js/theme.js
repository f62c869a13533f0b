/* Loaded before the first paint, so that a chosen theme never flashes. */
"use strict";
{
  let theme = null;
  try {
    theme = localStorage.getItem("theme");
  } catch {
    /* Storage can be forbidden; then the system's setting holds. */
  }
  if (theme === "light" || theme === "dark") {
    document.documentElement.dataset.theme = theme;
  }
}
