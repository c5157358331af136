// The page: which view is open, of which bundle, host and text; and what stands around the views.

import { Api, ApiError } from "./api.js";
import { App } from "./app.js";
import { el, fill } from "./dom.js";
import { askedToken, lostOrBusy } from "./notices.js";
import { shownBy } from "./state.js";
import { keys, bar } from "./bar.js";

const api = new Api("", { waiting: lostOrBusy, token: askedToken });

async function begin() {
  const app = new App(api);
  try {
    await app.load();
  } catch (error) {
    fill(document.getElementById("main"), el("div", { class: "notice bad", role: "alert" },
      el("h1", {}, "There is nothing to explore yet"), el("p", {}, error.message),
      error instanceof ApiError && error.remedy ? el("p", { class: "faint" }, error.remedy) : null));
    throw error;
  }
  bar(app);
  keys(app);
  addEventListener("hashchange", async () => {
    if (location.hash !== app.fragment) app.turn(await shownBy(location.hash));
  });
  await app.turn(await shownBy(location.hash));
}

begin();
