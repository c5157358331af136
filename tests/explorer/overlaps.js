// Texts that cannot be read: on each other, cut off, or beside the screen.
() => {
  const LEAST = 2; // pixels that two texts must share: boxes of letters touch
  const describe = (one) => JSON.stringify(one.text.slice(0, 40));
  const isVisible = (element) => element.checkVisibility({
    opacityProperty: true, visibilityProperty: true, contentVisibilityAuto: true });
  const isHidden = (style) => style.clipPath === "inset(50%)"; // for screen readers alone

  // A line's box has room above and below its letters.
  const letters = (rect) => {
    const inset = rect.height * 0.18;
    return { left: rect.left, right: rect.right, top: rect.top + inset, bottom: rect.bottom - inset };
  };
  const cut = (rect, box) => ({
    left: Math.max(rect.left, box.left), right: Math.min(rect.right, box.right),
    top: Math.max(rect.top, box.top), bottom: Math.min(rect.bottom, box.bottom) });
  const isEmpty = (rect) => rect.right - rect.left < 1 || rect.bottom - rect.top < 1;

  const problems = [];
  const texts = [];
  const scope = [...document.querySelectorAll("dialog[open]")].pop() ?? document.body;
  const walker = document.createTreeWalker(scope, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || !isVisible(element) || element.closest("option, script, style")) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    let rects = [...range.getClientRects()].map(letters).filter((rect) => !isEmpty(rect));
    const one = { element, text: node.data.trim(), rects };
    let isShort = false; // an ellipsis says that there is more, and a title says what
    let isSkipped = false;
    for (let above = element; above && above !== document.documentElement; above = above.parentElement) {
      const style = getComputedStyle(above);
      if (isHidden(style)) isSkipped = true;
      const isOpen = style.overflowX === "visible" && style.overflowY === "visible";
      if (isOpen || style.display === "inline") continue;
      const box = above.getBoundingClientRect();
      isShort ||= style.textOverflow === "ellipsis" || style.webkitLineClamp !== "none";
      const isCut = (rect) => {
        const isHiddenX = ["hidden", "clip"].includes(style.overflowX)
          && (rect.left < box.left - LEAST || rect.right > box.right + LEAST);
        const isHiddenY = ["hidden", "clip"].includes(style.overflowY)
          && (rect.top < box.top - LEAST || rect.bottom > box.bottom + LEAST);
        return isHiddenX || isHiddenY;
      };
      if (!isShort && !isSkipped && rects.some(isCut)) {
        problems.push(`cut off: ${describe(one)} by ${above.localName}.${above.getAttribute("class")}`);
      }
      rects = rects.map((rect) => cut(rect, box)).filter((rect) => !isEmpty(rect));
    }
    if (isSkipped || rects.length === 0) continue;
    one.rects = rects;
    texts.push(one);
    const isAbove = rects.every((rect) => rect.bottom < 0); // a link that focus brings down
    if (!isAbove && rects.some((rect) => rect.left < -LEAST || rect.right > innerWidth + LEAST)) {
      problems.push(`beside the screen: ${describe(one)}`);
    }
  }
  const shared = (one, other) => one.rects.some((a) => other.rects.some((b) => {
    const both = cut(a, b);
    return both.right - both.left > LEAST && both.bottom - both.top > LEAST;
  }));
  // A bar that stays on the screen covers what is scrolled below it.
  const layer = (element) => {
    for (let above = element; above; above = above.parentElement) {
      if (["fixed", "sticky"].includes(getComputedStyle(above).position)) return above;
    }
    return null;
  };
  const ordered = texts.map((one) => ({ ...one, layer: layer(one.element),
    top: Math.min(...one.rects.map(({ top }) => top)),
    bottom: Math.max(...one.rects.map(({ bottom }) => bottom)) })).sort((a, b) => a.top - b.top);
  ordered.forEach((one, place) => {
    for (let next = place + 1; next < ordered.length && ordered[next].top < one.bottom; next += 1) {
      const other = ordered[next];
      if (one.element === other.element || one.layer !== other.layer) continue;
      if (one.element.contains(other.element) || other.element.contains(one.element)) continue;
      if (shared(one, other)) problems.push(`on each other: ${describe(one)} and ${describe(other)}`);
    }
  });
  const wide = document.documentElement.scrollWidth;
  if (wide > innerWidth) problems.push(`the page is ${wide} px wide on a screen of ${innerWidth}`);
  return [...new Set(problems)];
}
