"use strict";
(() => {
  // Airflow shows the page in a frame of its own origin; opened by itself there is no shell.
  let shell = null;
  try {
    shell = window.parent === window ? null : window.parent.document;
  } catch {
    shell = null;
  }

  const theme = () => {
    if (shell) {
      return ["dark", "light"].find((name) => shell.documentElement.classList.contains(name));
    }
    try {
      return ["dark", "light"].find((name) => localStorage.getItem("theme") === name);
    } catch {
      return undefined;
    }
  };
  const follow = () => {
    const name = theme();
    if (name) {
      document.documentElement.dataset.theme = name;
    } else {
      delete document.documentElement.dataset.theme;
    }
  };
  follow();
  if (shell) {
    new MutationObserver(follow).observe(shell.documentElement, { attributes: true, attributeFilter: ["class"] });
  }

  // The frame may neither leave itself nor open a window, so the shell follows the links that do.
  const leave = (event) => {
    const link = event.target.closest("a[href]");
    if (!shell || !link || event.defaultPrevented || event.button > 1) {
      return;
    }
    const apart = event.ctrlKey || event.metaKey || event.shiftKey || event.button === 1;
    const target = link.getAttribute("target");
    if (!apart && !target) {
      return;
    }
    event.preventDefault();
    const twin = shell.createElement("a");
    twin.href = new URL(link.getAttribute("href"), document.baseURI).href;
    twin.target = apart || target === "_blank" ? "_blank" : "_self";
    twin.rel = "noopener";
    shell.body.append(twin);
    twin.click();
    twin.remove();
  };
  document.addEventListener("click", leave);
  document.addEventListener("auxclick", leave);

  const shortest = 3000;
  const longest = 15000;
  let pause = shortest;
  const refresh = async () => {
    const here = document.querySelectorAll("[data-live]");
    if (here.length === 0) {
      return;
    }
    if (!document.hidden) {
      try {
        const answer = await fetch(location.href, { redirect: "error" });
        if (answer.ok) {
          const next = new DOMParser().parseFromString(await answer.text(), "text/html");
          const pairs = [...here].map((now) => [now, next.getElementById(now.id)]);
          // What is live has changed: show all of it anew, for the last time if nothing is.
          if (next.querySelectorAll("[data-live]").length !== here.length || pairs.some(([, then]) => !then)) {
            location.reload();
            return;
          }
          const moved = pairs.filter(([now, then]) => now.outerHTML !== then.outerHTML);
          for (const [now, then] of moved) {
            now.replaceWith(then);
          }
          pause = moved.length > 0 ? shortest : Math.min(2 * pause, longest);
        }
      } catch {
        // the server is away for a moment; it is asked again
      }
    }
    setTimeout(refresh, pause);
  };
  document.addEventListener("DOMContentLoaded", () => setTimeout(refresh, pause));
})();
