"use strict";
// Airflow imports this file and then renders the component that it finds under the name of the app.
globalThis["Disposals tile"] = () => {
  const fit = (event) => {
    const shown = event.target.contentDocument?.querySelector("main:not([data-empty])");
    event.target.style.height = shown ? `${shown.scrollHeight + 4}px` : "0";
  };
  return globalThis.React.createElement("iframe", {
    src: new URL("records/tile", document.baseURI).href,
    title: "Disposals",
    onLoad: fit,
    style: { border: "none", display: "block", width: "100%", height: "0", order: 4, flexShrink: 0 },
  });
};
