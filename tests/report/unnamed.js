// Controls, regions and pictures that a screen reader could not name.
() =>
  [...document.querySelectorAll("a, button, select, input, [role=region], [role=img], img")]
    .filter((node) => {
      const own = node.getAttribute("aria-label") || node.alt || node.textContent.trim();
      return !own && !node.labels?.length;
    })
    .map((node) => node.outerHTML.slice(0, 80))
