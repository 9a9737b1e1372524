// Light, dark, or as the system has it. Runs before the first paint.

const NAME = "planner-console-theme";
const THEMES = ["system", "light", "dark"];

function kept() {
  try {
    const theme = localStorage.getItem(NAME);
    return THEMES.includes(theme) ? theme : "system";
  } catch {
    return "system"; // storage may be forbidden
  }
}

function apply(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

/** A button that goes through the themes. */
export function themeButton(button) {
  const show = (theme) => {
    button.lastElementChild.textContent = theme;
    button.setAttribute("aria-label", `Theme: ${theme}`);
  };
  show(kept());
  button.addEventListener("click", () => {
    const theme = THEMES[(THEMES.indexOf(kept()) + 1) % THEMES.length];
    try {
      localStorage.setItem(NAME, theme);
    } catch {
      // it then holds until the page is left
    }
    apply(theme);
    show(theme);
  });
}

apply(kept());
