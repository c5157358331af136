// The page: which view is open, of which bundle, host and text; and what stands around the views.

import { Api, ApiError } from "./api.js";
import { App } from "./app.js";
import { bar, keys } from "./bar.js";
import { el, fill } from "./dom.js";
import { askedToken, lostOrBusy } from "./notices.js";
import { embedded, fetched, RecordedApi } from "./recorded.js";
import { banner, beginning } from "./recorded_banner.js";
import { shownBy } from "./state.js";
import { tour } from "./tour.js";

const NO_SERVER = [404, 405, 501]; // what a plain web server answers where an API would be

async function begin() {
  const app = await opened();
  bar(app);
  keys(app);
  addEventListener("hashchange", async () => {
    if (location.hash !== app.fragment) app.turn(await shownBy(location.hash));
  });
  const first = app.api.isRecorded ? beginning(app.api.recording, location.hash) : null;
  await app.turn(first ?? await shownBy(location.hash));
  tour(app);
}

/** The page's state, of a server or of what was recorded of one. */
async function opened() {
  const isAsked = new URLSearchParams(location.search).has("gallery");
  const recording = embedded() ?? (isAsked ? await fetched() : null);
  if (recording) return recorded(recording);
  const app = new App(new Api("", { waiting: lostOrBusy, token: askedToken }));
  try {
    await app.load();
    return app;
  } catch (error) {
    const found = isNowhere(error) ? await fetched() : null;
    if (found) return recorded(found);
    refused(error);
    throw error;
  }
}

async function recorded(recording) {
  const app = new App(new RecordedApi(recording));
  await app.load();
  for (const example of recording.examples) app.know(example);
  banner(recording);
  return app;
}

function isNowhere(error) {
  return error instanceof SyntaxError || (error instanceof ApiError && NO_SERVER.includes(error.status));
}

function refused(error) {
  fill(document.getElementById("main"), el("div", { class: "notice bad", role: "alert" },
    el("h1", {}, "There is nothing to explore yet"), el("p", {}, error.message),
    error instanceof ApiError && error.remedy ? el("p", { class: "faint" }, error.remedy) : null));
}

begin();
