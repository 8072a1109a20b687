"use strict";
// Airflow puts its theme on its own document, and keeps its name in the browser's storage.
(() => {
  const root = document.documentElement;
  const outer = window.parent === window ? null : parent.document.documentElement;
  const follow = () => {
    const theme = outer ? (outer.classList.contains("dark") ? "dark" : "light") : localStorage.getItem("theme");
    if (theme === "dark" || theme === "light") root.dataset.theme = theme;
    const ground = outer && getComputedStyle(parent.document.body).backgroundColor;
    if (ground && ground.startsWith("rgb(")) root.style.setProperty("--ground", ground);
  };
  follow();
  if (outer) new MutationObserver(follow).observe(outer, { attributes: true, attributeFilter: ["class"] });
})();
