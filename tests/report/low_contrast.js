// Visible texts whose contrast with what lies behind them is too low (WCAG 2.2, 1.4.3).
() => {
  const parse = (text) => {
    const numbers = text.match(/[\d.]+/g).map(Number);
    return [...numbers.slice(0, 3), numbers[3] ?? 1];
  };
  const over = (top, back) =>
    [0, 1, 2].map((i) => top[i] * top[3] + back[i] * (1 - top[3])).concat(1);
  const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) =>
    0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const behind = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) {
      layers.unshift(parse(getComputedStyle(at).backgroundColor));
    }
    return layers.reduce((back, top) => over(top, back), [255, 255, 255, 1]);
  };
  const low = [];
  for (const node of document.querySelectorAll("body *")) {
    const text = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    const silent = ["SCRIPT", "STYLE", "title"].includes(node.tagName);
    if (!text || silent || !node.checkVisibility()) continue;
    if (node.closest(".unseen, .skip, [aria-hidden]")) continue;
    const style = getComputedStyle(node);
    const back = behind(node);
    const ink = over(parse(node instanceof SVGElement ? style.fill : style.color), back);
    const [light, dark] = [luminance(ink), luminance(back)].sort((x, y) => y - x);
    const ratio = (light + 0.05) / (dark + 0.05);
    if (ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5)) {
      low.push(`${node.tagName} ${ratio.toFixed(2)}: ${node.textContent.slice(0, 30)}`);
    }
  }
  return low;
}
