// An ontology facet as a tree that starts where it tells something apart.

/** The values of a facet with their children, each list most frequent first (the order they came in). */
export function treeOf(values) {
  const nodes = new Map(values.map((value) => [value.id, { ...value, children: [] }]));
  for (const node of nodes.values()) for (const id of node.parents) nodes.get(id)?.children.push(node);
  // in a facet cut to its most frequent values, a value whose parents were cut is no root: it can still be found
  return { nodes, roots: [...nodes.values()].filter((node) => node.parents.length === 0) };
}

/**
 * The roots to show: at least `wanted` groups where the ontology has them; values outside it stand beside.
 * What is replaced by what is in it is put into `passed`.
 */
export function topLevel(tree, passed = [], wanted = 5) {
  const grouped = tree.roots.filter((node) => node.children.length > 0);
  const single = tree.roots.filter((node) => node.children.length === 0);
  return [...opened(grouped, wanted, passed), ...single].sort(byCount);
}

/** The rows under a node. */
export const below = (node, passed = []) => opened(node.children, 2, passed);

/**
 * Groups that nothing is annotated with are replaced by what is in them, the largest first, until there are enough:
 * a chain of terms that all hold the same records says nothing, and neither does a root that holds nearly all.
 */
function opened(nodes, wanted, passed) {
  const rows = new Set(nodes.flatMap((node) => informative(node, passed)));
  for (;;) {
    const next = [...rows].filter((node) => node.direct_count === 0 && node.children.length > 0).sort(byCount)[0];
    if (!next || rows.size >= wanted) return withoutNested([...rows]).sort(byCount);
    rows.delete(next);
    passed.push(next);
    for (const child of next.children) for (const row of informative(child, passed)) rows.add(row);
  }
}

/** The node, or its children where one of them holds all of its records and none says the node itself. */
function informative(node, passed, seen = new Set()) {
  if (seen.has(node)) return [];
  seen.add(node);
  const hollow = node.direct_count === 0 && node.children.some((child) => child.count === node.count);
  if (!hollow) return [node];
  passed.push(node);
  return node.children.flatMap((child) => informative(child, passed, seen));
}

/** A term with two parents is shown under the row above it, not also beside that row. */
function withoutNested(rows) {
  const inside = new Set();
  for (const row of rows) collect(row, inside);
  return rows.filter((row) => !inside.has(row));
}

function collect(node, found) {
  for (const child of node.children) {
    if (found.has(child)) continue;
    found.add(child);
    collect(child, found);
  }
}

const byCount = (a, b) => b.count - a.count || a.label.localeCompare(b.label);
