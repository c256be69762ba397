/**
 * Where the drawing puts its nodes and labels: from left to right on a desktop; on a phone the softmax stands below the layers.
 *
 * The labels of all edges into a node are stacked beside it, where the edges end: it is plain which belongs to which.
 */

export type Column = "x" | "h" | "z" | "scores" | "p" | "loss"; // scores: z where the softmax starts, drawn again on a phone

export interface Box {
  x: number; // centre
  y: number;
  width: number;
  height: number;
}

export interface Layout {
  width: number;
  height: number;
  digits: number; // of each number
  beside: boolean; // whether a gradient stands beside its value, or below it
  head: { upper: number; lower: number; apart: number }; // the first line of the columns' heads, of those of a softmax below the layers, and how far lines are apart
  again: boolean; // whether the scores are drawn a second time
  label: { width: number; height: number; bias: number; apart: number }; // bias: the width of a bias's
  box: (column: Column, i: number) => Box;
}

interface Place {
  x: number;
  width: number;
  height: number;
  top: number; // centre of the first of three nodes
  apart: number;
}

const layout = ({ columns, ...rest }: Omit<Layout, "again" | "box"> & { columns: Record<Column, Place> }): Layout => ({
  ...rest,
  again: columns.scores !== columns.z,
  box(column, i) {
    const { x, width, height, top, apart } = columns[column];
    const row = column === "x" ? i + 0.5 : column === "loss" ? 1 : i; // two nodes, or one, beside three
    return { x, y: top + row * apart, width, height };
  },
});

const row = (top: number, apart: number) => (x: number, width: number, height: number): Place => ({ x, width, height, top, apart });

const wide = row(98, 132);
const scores = wide(624, 104, 48);
export const WIDE = layout({
  width: 1018,
  height: 400,
  digits: 3,
  beside: true,
  head: { upper: 10, lower: 10, apart: 16 },
  label: { width: 92, height: 20, bias: 92, apart: 23 },
  columns: {
    x: wide(42, 84, 48),
    h: wide(328, 128, 60),
    z: scores,
    scores,
    p: wide(834, 104, 48),
    loss: wide(976, 80, 48),
  },
});

const upper = row(106, 124);
const lower = row(466, 78);
export const TALL = layout({
  width: 360,
  height: 648,
  digits: 2,
  beside: false,
  head: { upper: 8, lower: 408, apart: 12 },
  label: { width: 41, height: 28, bias: 50, apart: 30 },
  columns: {
    x: upper(26, 50, 44),
    h: upper(176, 74, 56),
    z: upper(330, 58, 44),
    scores: lower(34, 66, 44),
    p: lower(190, 84, 44),
    loss: lower(320, 76, 44),
  },
});

const BETWEEN = 2; // px, a label and its node

/** Where the label of weight `from` into a node stands, of so many. */
export function port({ label }: Layout, box: Box, from: number, weights: number): { x: number; y: number } {
  return { x: box.x - (box.width + label.width) / 2 - BETWEEN, y: box.y + (from - (weights - 1) / 2) * label.apart };
}

/** Where the label of a bias stands: above its node. */
export function above({ width, label }: Layout, box: Box): { x: number; y: number } {
  return { x: Math.min(box.x, width - label.bias / 2), y: box.y - (box.height + label.height) / 2 - BETWEEN };
}

export interface Line {
  x1: number;
  y1: number;
  x2: number;
  y2: number;
}

export function line(from: Box, to: Box): Line {
  return { x1: from.x + from.width / 2, y1: from.y, x2: to.x - to.width / 2, y2: to.y };
}

export const SLOPES = 0.42; // where on their edges the derivatives of the softmax stand

/** The point t of the way along a line. */
export function along({ x1, y1, x2, y2 }: Line, t: number): { x: number; y: number } {
  return { x: x1 + t * (x2 - x1), y: y1 + t * (y2 - y1) };
}
