// Signs out where a page offers it.

import { remove } from "./api.js";

for (const button of document.querySelectorAll("[data-sign-out]")) {
  button.addEventListener("click", async () => {
    await remove("/api/session").catch(() => undefined);
    location.assign("/");
  });
}
