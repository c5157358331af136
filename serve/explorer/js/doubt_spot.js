// One part of an explanation is lit where it is shown, and the rest dimmed. The explanation itself is
// left as it is: it may be drawn anew at any time.

const PART = "doubted", REST = "undoubted"; // names in css/doubt.css

/**
 * Light a part, or none.
 * @param {?Element} shown the element that shows the explanation
 * @param {string} content the explanation
 * @param {?{start: number, end: number}} part
 */
export function spot(shown, content, part) {
  if (!globalThis.Highlight) return; // an older browser: the row shows the part's text all the same
  CSS.highlights.delete(PART);
  CSS.highlights.delete(REST);
  const nodes = shown && part ? textsIn(shown) : [];
  if (nodes.map(({ data }) => data).join("") !== content) return;
  CSS.highlights.set(PART, new Highlight(range(nodes, part.start, part.end)));
  CSS.highlights.set(REST, new Highlight(range(nodes, 0, part.start),
    range(nodes, part.end, content.length)));
}

function textsIn(shown) {
  const walker = document.createTreeWalker(shown, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) found.push(walker.currentNode);
  return found;
}

function range(nodes, start, end) {
  const made = new Range();
  made.setStart(...placeIn(nodes, start));
  made.setEnd(...placeIn(nodes, end));
  return made;
}

function placeIn(nodes, at) {
  let before = 0;
  for (const node of nodes) {
    if (at <= before + node.length) return [node, at - before];
    before += node.length;
  }
  throw new RangeError(`${at} of ${before} characters`);
}
