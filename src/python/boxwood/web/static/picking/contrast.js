// Contrast without new pixels: the browser maps the grey levels of what it has drawn.

const SVG = "http://www.w3.org/2000/svg";
let filters = 0;

function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Let a canvas be seen through a straight line: set(slope, intercept), in parts of the whole range of grey. */
export function contrastFilter(canvas) {
  const id = `contrast-${++filters}`;
  const channels = ["feFuncR", "feFuncG", "feFuncB"].map((name) => svg(name, { type: "linear", slope: 1, intercept: 0 }));
  const filter = svg("filter", { id, x: 0, y: 0, width: 1, height: 1, "color-interpolation-filters": "sRGB" }, svg("feComponentTransfer", {}, ...channels));
  const element = svg("svg", { width: 0, height: 0, "aria-hidden": "true" }, filter);
  let shown = "";
  return {
    element,
    set(slope, intercept) {
      const now = `${slope} ${intercept}`;
      if (now === shown) return;
      shown = now;
      for (const channel of channels) {
        channel.setAttribute("slope", slope);
        channel.setAttribute("intercept", intercept);
      }
      canvas.style.filter = `url(#${id})`;
    },
  };
}

/** The line for RELION's fields. Pixels are 0 to 1 for `sigmas` deviations to either side of the mean. */
export function line({ sigma_contrast, white, black }, sigmas, grey) {
  let [dark, bright] = sigma_contrast > 0 ? [0.5 - sigma_contrast / sigmas / 2, 0.5 + sigma_contrast / sigmas / 2] : [0, 1];
  if (white !== black && grey) {
    const place = (value) => 0.5 + (value - grey.mean) / (2 * sigmas * grey.deviation);
    [dark, bright] = [place(black), place(white)];
  }
  const slope = 1 / (bright - dark || 1e-6);
  return [slope, -dark * slope];
}
