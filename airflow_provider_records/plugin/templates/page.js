"use strict";
(() => {
  // Airflow shows the page in a frame of the same origin. Without a frame there is no outer document.
  let outer = null;
  try {
    outer = window.parent === window ? null : window.parent.document;
  } catch {
    outer = null;
  }

  const theme = () => {
    if (outer) {
      return ["dark", "light"].find((name) => outer.documentElement.classList.contains(name));
    }
    try {
      return ["dark", "light"].find((name) => localStorage.getItem("theme") === name);
    } catch {
      return undefined;
    }
  };
  const applyTheme = () => {
    const name = theme();
    if (name) {
      document.documentElement.dataset.theme = name;
    } else {
      delete document.documentElement.dataset.theme;
    }
  };
  applyTheme();
  if (outer) {
    new MutationObserver(applyTheme).observe(outer.documentElement, { attributes: true, attributeFilter: ["class"] });
  }

  // The frame may neither navigate its parent nor open a window, so the outer document clicks such links.
  const openOutside = (event) => {
    const link = event.target.closest("a[href]");
    if (!outer || !link || event.defaultPrevented || event.button > 1) {
      return;
    }
    const newTab = event.ctrlKey || event.metaKey || event.shiftKey || event.button === 1;
    const target = link.getAttribute("target");
    if (!newTab && !target) {
      return;
    }
    event.preventDefault();
    const copy = outer.createElement("a");
    copy.href = new URL(link.getAttribute("href"), document.baseURI).href;
    copy.target = newTab || target === "_blank" ? "_blank" : "_self";
    copy.rel = "noopener";
    outer.body.append(copy);
    copy.click();
    copy.remove();
  };
  document.addEventListener("click", openOutside);
  document.addEventListener("auxclick", openOutside);

  const shortestPause = 3000;
  const longestPause = 15000;
  let pause = shortestPause;
  const refresh = async () => {
    const live = document.querySelectorAll("[data-live]");
    if (live.length === 0) {
      return;
    }
    if (!document.hidden) {
      try {
        const response = await fetch(location.href, { redirect: "error" });
        if (response.ok) {
          const next = new DOMParser().parseFromString(await response.text(), "text/html");
          const pairs = [...live].map((now) => [now, next.getElementById(now.id)]);
          // Another set of elements is live: reload the page. It updates itself no more if nothing is live.
          if (next.querySelectorAll("[data-live]").length !== live.length || pairs.some(([, then]) => !then)) {
            location.reload();
            return;
          }
          const changed = pairs.filter(([now, then]) => now.outerHTML !== then.outerHTML);
          for (const [now, then] of changed) {
            now.replaceWith(then);
          }
          pause = changed.length > 0 ? shortestPause : Math.min(2 * pause, longestPause);
        }
      } catch {
        // The server may be unavailable for a moment; the next refresh asks it again.
      }
    }
    setTimeout(refresh, pause);
  };
  document.addEventListener("DOMContentLoaded", () => setTimeout(refresh, pause));
})();
