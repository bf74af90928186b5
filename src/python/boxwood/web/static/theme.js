// Light or dark: as the system has it, until the button is used.

const KEY = "boxwood-theme";

export function startTheme() {
  const chosen = localStorage.getItem(KEY);
  if (chosen) document.documentElement.style.colorScheme = chosen;
}

export function switchTheme() {
  const dark = getComputedStyle(document.documentElement).colorScheme;
  const isDark = dark === "dark" || (dark !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  const next = isDark ? "light" : "dark";
  document.documentElement.style.colorScheme = next;
  localStorage.setItem(KEY, next);
}
