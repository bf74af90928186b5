// Small pictures of a gallery: fetched as sheets of many, kept, and stretched to the contrast that is asked for.

/** Pictures stand in so many columns on a sheet. */
const COLUMNS = 8;
// About how many pixels a sheet has, how many are kept, and how many are asked for at once.
const PIXELS = 1 << 19;
const KEPT = 48;
const AT_ONCE = 4;
// Sheets are made with black and white so many standard deviations from the mean; less is stretched here.
const SIGMAS = 6;

/** Sheets of pictures in the order of `ids`.
 *
 *  address: (ids, side, columns, sigma) => where that sheet is
 *  arrived: () => called when there is more to draw
 *  signal: the view was left */
export class Sheets {
  constructor({ address, arrived, signal }) {
    Object.assign(this, { address, arrived, signal });
    this.sigma = 3;
    this.waiting = [];
    this.running = 0;
    this.reset([], 64);
  }

  /** Other pictures, or another size: `side` pixels. */
  reset(ids, side) {
    this.ids = ids;
    this.side = side;
    this.perSheet = Math.max(COLUMNS, Math.min(128, Math.floor(PIXELS / side ** 2 / COLUMNS) * COLUMNS));
    this.sheets = new Map();
    this.generation = {};
    this.waiting = [];
  }

  setSigma(sigma) {
    this.sigma = sigma;
  }

  /** Draw the picture at a place of the order; false if it is not here yet. */
  draw(context, place, x, y, width) {
    const number = Math.floor(place / this.perSheet);
    const sheet = this.sheets.get(number);
    if (!sheet?.bitmap) return false;
    this.sheets.delete(number); // the last asked for is the last to go
    this.sheets.set(number, sheet);
    const at = place % this.perSheet;
    const { side } = this;
    context.drawImage(this.stretched(sheet), (at % COLUMNS) * side, Math.floor(at / COLUMNS) * side, side, side, x, y, width, width);
    return true;
  }

  stretched(sheet) {
    if (sheet.sigma !== this.sigma) {
      const { width, height } = sheet.bitmap;
      sheet.canvas ??= new OffscreenCanvas(width, height);
      const context = sheet.canvas.getContext("2d", { alpha: false });
      context.filter = `contrast(${SIGMAS / this.sigma})`;
      context.drawImage(sheet.bitmap, 0, 0);
      sheet.sigma = this.sigma;
    }
    return sheet.canvas;
  }

  /** Fetch what is in sight, from place `first` to `last`, and then what is next to it. */
  want(first, last) {
    const [from, to] = [Math.floor(first / this.perSheet), Math.floor(last / this.perSheet)];
    const numbers = [];
    for (let number = from; number <= to; number++) numbers.push(number);
    numbers.push(to + 1, from - 1);
    this.waiting = numbers.filter((n) => n >= 0 && n * this.perSheet < this.ids.length && !this.sheets.has(n));
    this.pump();
  }

  pump() {
    while (this.running < AT_ONCE && this.waiting.length) this.fetch(this.waiting.shift());
  }

  async fetch(number) {
    const { generation } = this;
    const sheet = { bitmap: null, canvas: null, sigma: null };
    this.sheets.set(number, sheet);
    this.running += 1;
    try {
      const ids = this.ids.slice(number * this.perSheet, (number + 1) * this.perSheet);
      const answer = await fetch(this.address([...ids], this.side, COLUMNS, SIGMAS), { signal: this.signal });
      if (!answer.ok) throw new Error((await answer.json()).error);
      sheet.bitmap = await createImageBitmap(await answer.blob());
      if (generation === this.generation) this.shrink();
    } catch (error) {
      if (generation === this.generation) this.sheets.delete(number);
      if (error.name !== "AbortError") this.failed?.(error);
    } finally {
      this.running -= 1;
    }
    if (this.signal.aborted) return;
    if (sheet.bitmap && generation === this.generation) this.arrived();
    this.pump();
  }

  shrink() {
    const ready = [...this.sheets].filter(([, sheet]) => sheet.bitmap);
    for (const [number, sheet] of ready.slice(0, Math.max(0, ready.length - KEPT))) {
      sheet.bitmap.close();
      this.sheets.delete(number);
    }
  }
}
