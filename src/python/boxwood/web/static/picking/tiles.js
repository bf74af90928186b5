// The tiles of a micrograph: asked for as they come into view, kept while they are likely to be seen again.

const MOST_TILES = 220;
const AT_ONCE = 6;

/** Tiles of one micrograph with one filter.
 *  facts: { tile, finest, levels: [{ width, height }] }; level n has 2^-n of the full size's sides.
 *  address: (level, column, row) => where a tile is; changed: called when there is something new to draw. */
export class Tiles {
  constructor(facts, address, changed) {
    Object.assign(this, { facts, address, changed });
    this.tiles = new Map(); // key => { bitmap, level, column, row }, the longest unused first
    this.wanted = [];
    this.loading = new Map();
    this.grey = new Map(); // level => { mean, deviation }
    this.failed = new Set();
    this.leaving = new AbortController();
  }

  get width() {
    return this.facts.levels[0].width;
  }

  get height() {
    return this.facts.levels[0].height;
  }

  get coarsest() {
    return this.facts.levels.length - 1;
  }

  /** The level whose pixels are not larger than the screen's, at so many screen pixels a pixel. */
  levelFor(scale) {
    const level = Math.floor(Math.log2(1 / scale) + 0.01);
    return Math.min(Math.max(level, this.facts.finest), this.coarsest);
  }

  close() {
    this.leaving.abort();
    for (const { bitmap } of this.tiles.values()) bitmap.close();
    this.tiles.clear();
    this.wanted = [];
  }

  /** Draw what is there of a part of the micrograph, coarse to fine, and ask for the rest; whether all of it was there.
   *  The context is transformed to the micrograph's pixels; box: { left, top, right, bottom } in them. */
  draw(context, box, scale) {
    const level = this.levelFor(scale);
    const wanted = level === this.coarsest ? this.in(box, level) : [...this.in(box, this.coarsest), ...this.in(box, level)];
    const centre = [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
    const far = (tile) => (tile.level === this.coarsest ? -1 : Math.hypot(tile.x + tile.side / 2 - centre[0], tile.y + tile.side / 2 - centre[1]));
    this.wanted = wanted.filter((tile) => !this.tiles.has(tile.key) && !this.failed.has(tile.key)).sort((a, b) => far(a) - far(b));
    this.load();
    context.imageSmoothingEnabled = scale < 6;
    context.imageSmoothingQuality = "medium";
    const seen = [...this.tiles.values()].filter((tile) => tile.level >= level && overlaps(tile, box)).sort((a, b) => b.level - a.level);
    for (const tile of seen) {
      const size = 2 ** tile.level;
      context.drawImage(tile.bitmap, tile.x, tile.y, tile.bitmap.width * size, tile.bitmap.height * size);
      this.tiles.delete(tile.key);
      this.tiles.set(tile.key, tile);
    }
    return !this.wanted.length;
  }

  in(box, level) {
    const { width, height } = this.facts.levels[level];
    const side = this.facts.tile * 2 ** level;
    const found = [];
    const last = (size) => Math.ceil(size / this.facts.tile) - 1;
    for (let row = Math.max(0, Math.floor(box.top / side)); row <= Math.min(last(height), Math.floor(box.bottom / side)); row++)
      for (let column = Math.max(0, Math.floor(box.left / side)); column <= Math.min(last(width), Math.floor(box.right / side)); column++)
        found.push({ key: `${level} ${column} ${row}`, level, column, row, x: column * side, y: row * side, side });
    return found;
  }

  load() {
    while (this.loading.size < AT_ONCE) {
      const tile = this.wanted.find(({ key }) => !this.loading.has(key));
      if (!tile) return;
      this.loading.set(tile.key, tile);
      this.fetch(tile).catch((error) => {
        if (error.name === "AbortError") return;
        this.failed.add(tile.key);
        this.changed();
      }).finally(() => {
        this.loading.delete(tile.key);
        this.wanted = this.wanted.filter(({ key }) => key !== tile.key); // once is enough
        if (!this.leaving.signal.aborted) this.load();
      });
    }
  }

  async fetch(tile) {
    const answer = await fetch(this.address(tile.level, tile.column, tile.row), { signal: this.leaving.signal });
    if (!answer.ok) throw new Error((await answer.json()).error);
    const head = (name) => Number(answer.headers.get(`x-grey-${name}`));
    const bitmap = await createImageBitmap(await answer.blob());
    if (this.leaving.signal.aborted) return bitmap.close();
    this.grey.set(tile.level, { mean: head("mean"), deviation: head("deviation") });
    this.tiles.set(tile.key, { ...tile, bitmap });
    for (const [key, old] of this.tiles) {
      if (this.tiles.size <= MOST_TILES) break;
      if (old.level === this.coarsest) continue;
      old.bitmap.close();
      this.tiles.delete(key);
    }
    this.changed();
  }
}

function overlaps(tile, box) {
  return tile.x < box.right && tile.y < box.bottom && tile.x + tile.side > box.left && tile.y + tile.side > box.top;
}
