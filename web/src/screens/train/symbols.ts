/** The plane as a drawing, and a symbol for each class, so that colour is not all that tells them apart. */

import { EXTENT } from "../../math/points.ts";

export const BOX = 600;

export const svgX = (x: number) => (BOX * (x + EXTENT)) / (2 * EXTENT);
export const svgY = (y: number) => (BOX * (EXTENT - y)) / (2 * EXTENT);

type Corners = [x: number, y: number][];

const CORNERS: Corners[] = [
  [], // a circle
  [[0, -1.25], [1.15, 0.75], [-1.15, 0.75]],
  [[-0.92, -0.92], [0.92, -0.92], [0.92, 0.92], [-0.92, 0.92]],
  [[0, -1.3], [1.1, 0], [0, 1.3], [-1.1, 0]],
  [[-0.42, -1.2], [0.42, -1.2], [0.42, -0.42], [1.2, -0.42], [1.2, 0.42], [0.42, 0.42], [0.42, 1.2], [-0.42, 1.2], [-0.42, 0.42], [-1.2, 0.42], [-1.2, -0.42], [-0.42, -0.42]],
];

/** The outline of the symbol of a class around a place. */
export function outline(target: number, x: number, y: number, size: number): string {
  if (target === 0) return `M${x - size} ${y}a${size} ${size} 0 1 0 ${2 * size} 0a${size} ${size} 0 1 0 ${-2 * size} 0Z`;
  return `M${CORNERS[target].map(([dx, dy]) => `${x + size * dx} ${y + size * dy}`).join("L")}Z`;
}
