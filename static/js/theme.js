/* Loaded before the first paint to prevent a flash of the wrong theme. */
"use strict";
{
  let theme = null;
  try {
    theme = localStorage.getItem("theme");
  } catch {
    /* Without storage, the system's setting applies. */
  }
  if (theme === "light" || theme === "dark") {
    document.documentElement.dataset.theme = theme;
  }
}
