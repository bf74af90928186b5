// Which job to start.

import { get } from "../api.js";
import { h } from "../dom.js";

export async function show(page) {
  const { jobs } = await get("/api/forms", page.signal);
  page.title("new job");
  page.main.append(
    h("h1", {}, "New job"),
    h("div.kinds", {}, jobs.map(({ name, summary }) =>
      h("a.kind", { href: `/new/${name}` }, h("b", {}, name), h("span", {}, summary)))),
  );
}
