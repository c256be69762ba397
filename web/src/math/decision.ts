/** The plane as the network sees it: logits on a grid, the colours of its probabilities, and the lines between classes. */
import { logits, type Network } from "./network.ts";
import { EXTENT } from "./points.ts";
import { argmax, softmax } from "./softmax.ts";

/** Logits at the corners of size × size squares of the plane, row by row from the top left. */
export interface Grid {
  size: number;
  logits: number[][];
}

export type Segment = [x0: number, y0: number, x1: number, y1: number];

/** The coordinates of a corner of the grid. */
export function place(size: number, column: number, row: number): [number, number] {
  return [EXTENT * ((2 * column) / size - 1), EXTENT * (1 - (2 * row) / size)];
}

export function grid(network: Network, size: number): Grid {
  const all: number[][] = [];
  for (let row = 0; row <= size; row++) {
    for (let column = 0; column <= size; column++) all.push(logits(network, place(size, column, row)));
  }
  return { size, logits: all };
}

/** A colour for each corner, the classes' colours mixed by probability: RGBA bytes. */
export function colours({ logits }: Grid, classes: number[][]): Uint8ClampedArray<ArrayBuffer> {
  const bytes = new Uint8ClampedArray(4 * logits.length);
  logits.forEach((scores, at) => {
    const p = softmax(scores);
    for (let channel = 0; channel < 3; channel++) {
      let mixed = 0;
      for (let j = 0; j < p.length; j++) mixed += p[j] * classes[j][channel];
      bytes[4 * at + channel] = mixed;
    }
    bytes[4 * at + 3] = 255;
  });
  return bytes;
}

/**
 * Where the two largest scores are equal. Each square is cut into two triangles, in which the scores are taken as linear:
 * there z_a = z_b is a piece of a straight line, kept where no other score is larger.
 */
export function boundaries({ size, logits }: Grid): Segment[] {
  const segments: Segment[] = [];
  const winners = logits.map(argmax);
  const corner = (column: number, row: number): Corner => {
    const at = row * (size + 1) + column;
    return { place: place(size, column, row), scores: logits[at] };
  };
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const at = row * (size + 1) + column;
      const winner = winners[at];
      if (winners[at + 1] === winner && winners[at + size + 1] === winner && winners[at + size + 2] === winner) continue;
      const [ne, sw] = [corner(column + 1, row), corner(column, row + 1)];
      segments.push(...cuts([corner(column, row), ne, sw]), ...cuts([corner(column + 1, row + 1), ne, sw]));
    }
  }
  return segments;
}

interface Corner {
  place: [number, number];
  scores: number[];
}

function cuts(triangle: Corner[]): Segment[] {
  const classes = triangle[0].scores.map((_, j) => j);
  return classes.flatMap((a) => classes.slice(a + 1).flatMap((b) => cut(triangle, a, b)));
}

/** The piece of z_a = z_b within a triangle: none or one. */
function cut(triangle: Corner[], a: number, b: number): Segment[] {
  const ends: Corner[] = [];
  triangle.forEach((from, n) => {
    const to = triangle[(n + 1) % 3];
    const [d0, d1] = [from.scores[a] - from.scores[b], to.scores[a] - to.scores[b]];
    if (d0 < 0 !== d1 < 0) ends.push(between(from, to, d0 / (d0 - d1)));
  });
  return ends.length === 2 ? clip(ends[0], ends[1], a, b) : [];
}

function between(from: Corner, to: Corner, t: number): Corner {
  const mix = (u: number, v: number) => u + t * (v - u);
  return {
    place: [mix(from.place[0], to.place[0]), mix(from.place[1], to.place[1])],
    scores: from.scores.map((score, j) => mix(score, to.scores[j])),
  };
}

function clip(from: Corner, to: Corner, a: number, b: number): Segment[] {
  let [first, last] = [0, 1];
  from.scores.forEach((_, c) => {
    if (c === a || c === b) return;
    const [d0, d1] = [from.scores[a] - from.scores[c], to.scores[a] - to.scores[c]];
    if (d0 < 0 && d1 < 0) first = 2;
    else if (d0 < 0) first = Math.max(first, d0 / (d0 - d1));
    else if (d1 < 0) last = Math.min(last, d0 / (d0 - d1));
  });
  if (first >= last) return [];
  return [[...between(from, to, first).place, ...between(from, to, last).place]];
}
