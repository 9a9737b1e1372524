// Keeps what is new in sight while a question is worked on, until the reader takes over.

const OWN = ["wheel", "touchmove", "keydown", "pointerdown"];

export class Follow {
  constructor() {
    this._isOn = false;
    for (const name of OWN) {
      window.addEventListener(
        name,
        (event) => {
          if (event.key !== "Tab") this._isOn = false;
        },
        { passive: true },
      );
    }
  }

  /** From now on, until the reader scrolls, points or types. */
  begin() {
    requestAnimationFrame(() => {
      this._isOn = true;
    }); // after the event that asked
  }

  to(element) {
    requestAnimationFrame(() => {
      if (!this._isOn) return;
      const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
      const isTall = element.offsetHeight > window.innerHeight;
      element.scrollIntoView({ block: isTall ? "start" : "nearest", behavior: still ? "auto" : "smooth" });
    });
  }
}
