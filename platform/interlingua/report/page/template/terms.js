"use strict";
// The meaning of a term beside it: under the pointer, with the focus, or after a tap. A click goes
// to the glossary, where the meanings are taken from.
(() => {
  const GAP = 6;
  const tip = document.createElement("div");
  tip.id = "term-tip";
  tip.className = "tip";
  tip.setAttribute("role", "tooltip");
  tip.hidden = true;
  document.body.append(tip);
  let shown = null;
  let pointer = "";

  const termOf = (event) => (event.target instanceof Element ? event.target.closest("a.term") : null);

  function meaningOf(link) {
    const entry = document.getElementById(decodeURIComponent(link.hash.slice(1)));
    return entry ? entry.nextElementSibling.textContent : "";
  }

  function place(link) {
    const at = link.getBoundingClientRect();
    const most = document.documentElement.clientWidth - tip.offsetWidth - GAP;
    const above = at.top - tip.offsetHeight - GAP;
    tip.style.setProperty("left", Math.max(GAP, Math.min(at.left, most)) + "px");
    tip.style.setProperty("top", (above < GAP ? at.bottom + GAP : above) + "px");
  }

  function hide() {
    if (shown) shown.removeAttribute("aria-describedby");
    shown = null;
    tip.hidden = true;
  }

  function show(link) {
    if (link === shown) return;
    hide();
    shown = link;
    tip.textContent = meaningOf(link);
    tip.hidden = false;
    link.setAttribute("aria-describedby", tip.id);
    place(link);
  }

  const showTerm = (event) => {
    const link = termOf(event);
    if (link) show(link);
  };
  const hideTerm = (event) => {
    if (termOf(event) && !(event.type === "pointerout" && shown === document.activeElement)) hide();
  };

  document.addEventListener("pointerdown", (event) => { pointer = event.pointerType; });
  document.addEventListener("pointerover", showTerm);
  document.addEventListener("pointerout", hideTerm);
  document.addEventListener("focusin", showTerm);
  document.addEventListener("focusout", hideTerm);
  document.addEventListener("scroll", hide, { passive: true, capture: true });
  document.addEventListener("keydown", (event) => {
    pointer = "";
    if (event.key === "Escape") hide();
  });
  document.addEventListener("click", (event) => {
    const link = termOf(event);
    // A finger has nothing to hover with: its tap shows the meaning where it is.
    if (link && (pointer === "touch" || pointer === "pen")) {
      event.preventDefault();
      show(link);
    } else if (link) {
      hide();
    }
  });
})();
