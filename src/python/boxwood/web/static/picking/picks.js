// The picks of one micrograph, and how they came to be: every change can be undone.

const X = "rlnCoordinateX";
const Y = "rlnCoordinateY";
const MOST = 500;

/** table: { labels, rows, fresh } of the server; changed: called after every change.
 *  `list` is never changed in place, so that an earlier one is the past; a pick is { x, y, row }. */
export class Picks {
  constructor(table, changed) {
    this.changed = changed;
    this.replace(table);
  }

  /** Start again with other picks; there is nothing to undo then. */
  replace(table) {
    this.labels = table.labels;
    this.fresh = table.fresh ?? this.fresh;
    [this.ix, this.iy] = [this.labels.indexOf(X), this.labels.indexOf(Y)];
    this.list = this.read(table.rows);
    this.past = [];
    this.future = [];
  }

  read(rows) {
    return rows.map((row) => ({ x: row[this.ix], y: row[this.iy], row }));
  }

  set(list) {
    this.past.push(this.list);
    if (this.past.length > MOST) this.past.shift();
    this.future = [];
    this.list = list;
    this.changed();
  }

  add(x, y) {
    const pick = { x: Math.round(x), y: Math.round(y), row: this.fresh };
    this.set([...this.list, pick]);
    return pick;
  }

  /** Put others in the place of all, or of some; values by label. */
  setRows(rows) {
    this.set(this.read(rows));
  }

  remove(picks) {
    const gone = new Set(picks);
    if (gone.size) this.set(this.list.filter((pick) => !gone.has(pick)));
  }

  move(pick, x, y) {
    const moved = { ...pick, x: Math.round(x), y: Math.round(y) };
    this.set(this.list.map((other) => (other === pick ? moved : other)));
    return moved;
  }

  undo() {
    if (!this.past.length) return;
    this.future.push(this.list);
    this.list = this.past.pop();
    this.changed();
  }

  redo() {
    if (!this.future.length) return;
    this.past.push(this.list);
    this.list = this.future.pop();
    this.changed();
  }

  /** The nearest pick whose centre is at most so far away; null if there is none. */
  near({ x, y }, distance) {
    let [found, least] = [null, distance];
    for (const pick of this.list) {
      const away = Math.hypot(pick.x - x, pick.y - y);
      if (away <= least) [found, least] = [pick, away];
    }
    return found;
  }

  content() {
    const rows = this.list.map(({ x, y, row }) => row.map((value, i) => (i === this.ix ? x : i === this.iy ? y : value)));
    return { labels: this.labels, rows };
  }

  /** A column, in the order of the list; null if there is none. */
  column(label) {
    const i = this.labels.indexOf(label);
    return i < 0 ? null : this.list.map(({ row }) => row[i]);
  }
}
