// Sets the chosen theme before the first paint. Loaded as a plain script in the head for that reason.
(() => {
  const chosen = localStorage.getItem("lightwell.theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
})();
