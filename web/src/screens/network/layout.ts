/**
 * Where the drawing puts its nodes and labels: from left to right on a desktop; on a phone the softmax stands below the layers.
 *
 * An edge has its label a quarter of the way up: there, with nodes at equal distances, the labels of all edges are at equal distances.
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
  again: boolean; // whether the scores are drawn a second time
  label: { width: number; height: number; bias: number; along: number }; // bias: the width of a bias's; along: where on its edge
  box: (column: Column, i: number) => Box;
}

interface Place {
  x: number;
  width: number;
  height: number;
  top: number; // centre of the first of three nodes
  apart: number;
}

const layout = (width: number, height: number, digits: number, label: Layout["label"], columns: Record<Column, Place>): Layout => ({
  width,
  height,
  digits,
  label,
  again: columns.scores !== columns.z,
  box(column, i) {
    const { x, width, height, top, apart } = columns[column];
    const row = column === "x" ? i + 0.5 : column === "loss" ? 1 : i; // two nodes, or one, beside three
    return { x, y: top + row * apart, width, height };
  },
});

const row = (top: number, apart: number) => (x: number, width: number, height: number): Place => ({ x, width, height, top, apart });

const wide = row(74, 132);
const scores = wide(544, 92, 48);
export const WIDE = layout(960, 384, 3, { width: 72, height: 19, bias: 86, along: 0.27 }, {
  x: wide(42, 80, 48),
  h: wide(290, 124, 64),
  z: scores,
  scores,
  p: wide(762, 92, 48),
  loss: wide(910, 96, 48),
});

const upper = row(70, 118);
const lower = row(388, 78);
export const TALL = layout(360, 580, 2, { width: 43, height: 28, bias: 66, along: 0.25 }, {
  x: upper(26, 50, 44),
  h: upper(176, 74, 60),
  z: upper(330, 58, 44),
  scores: lower(34, 66, 44),
  p: lower(190, 72, 44),
  loss: lower(320, 76, 44),
});

export interface Line {
  x1: number;
  y1: number;
  x2: number;
  y2: number;
}

export function line(from: Box, to: Box): Line {
  return { x1: from.x + from.width / 2, y1: from.y, x2: to.x - to.width / 2, y2: to.y };
}

/** The point t of the way along a line. */
export function along({ x1, y1, x2, y2 }: Line, t: number): { x: number; y: number } {
  return { x: x1 + t * (x2 - x1), y: y1 + t * (y2 - y1) };
}
