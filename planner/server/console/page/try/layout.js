// Where the nodes of a tree stand: one row per step, children below their parents, none closer than `gap`.

const MARGIN = 14;
const CLOSEST = 7;
const WIDEST = 46;

/**
 * Places all nodes.
 *
 * Within a row every node wants to stand below its parent, beside its siblings; the row that is nearest to
 * these wishes in least squares and keeps its gaps is found by pooling (isotonic regression).
 *
 * @returns {{positions: Map, width: number, height: number, gap: number}} in pixels
 */
export function layout(root, levels, available) {
  const most = Math.max(1, ...levels.map((level) => level.length));
  const width = Math.max(available, most * CLOSEST + 2 * MARGIN);
  const gap = Math.min(WIDEST, (width - 2 * MARGIN) / most);
  const row = levels.length > 10 ? 30 : 40;
  const positions = new Map([[root, { x: width / 2, y: MARGIN }]]);
  levels.forEach((level, depth) => {
    const wishes = level.map((node) => {
      const siblings = node.parent.children;
      return positions.get(node.parent).x + (siblings.indexOf(node) - (siblings.length - 1) / 2) * gap;
    });
    spread(wishes, gap, MARGIN, width - MARGIN).forEach((x, place) => {
      positions.set(level[place], { x, y: MARGIN + (depth + 1) * row });
    });
  });
  return { positions, width, height: 2 * MARGIN + levels.length * row, gap };
}

/** The points nearest to `wishes`, in their order, at least `gap` apart, within [lowest, highest]. */
function spread(wishes, gap, lowest, highest) {
  const pools = [];
  wishes.forEach((wish, place) => {
    let pool = { sum: wish - place * gap, size: 1 };
    while (
      pools.length &&
      pools[pools.length - 1].sum / pools[pools.length - 1].size >= pool.sum / pool.size
    ) {
      const before = pools.pop();
      pool = { sum: pool.sum + before.sum, size: pool.size + before.size };
    }
    pools.push(pool);
  });
  const room = Math.max(lowest, highest - (wishes.length - 1) * gap);
  const means = pools.flatMap(({ sum, size }) =>
    Array(size).fill(Math.min(room, Math.max(lowest, sum / size))),
  );
  return means.map((mean, place) => mean + place * gap);
}
