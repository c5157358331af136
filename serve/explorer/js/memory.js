// What the browser remembers between two visits. It may refuse to: nothing depends on it.

/** What is remembered under a name; null where nothing is, or where the browser refuses. */
export function remembered(name, storage = "localStorage") {
  try {
    return globalThis[storage].getItem(name);
  } catch {
    return null;
  }
}

/** Remember something, where the browser lets a page do so. */
export function remember(name, value, storage = "localStorage") {
  try {
    globalThis[storage].setItem(name, value);
  } catch {
    // a private window, a page from disk, a full disk: then it is forgotten
  }
}
