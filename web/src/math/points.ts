/** The points that the plane starts with. */
import { packBytes, unpackBytes } from "./pack.ts";
import { generator } from "./random.ts";
import type { Point } from "./train.ts";

export const EXTENT = 3; // the plane shown is [−3, 3] × [−3, 3]
export const MOST = 400; // points
export const CLASSES = 5; // at most: more colours and symbols are hard to tell apart
export const LEAST_CLASSES = 3;
const EACH = 40; // points of a class

const STEPS = 100; // of the grid, a unit

/** The nearest place of a grid of hundredths within the plane, which is short in the hash. */
export function onGrid(value: number): number {
  return Math.round(STEPS * Math.min(EXTENT, Math.max(-EXTENT, value))) / STEPS + 0; // no −0
}

export type Preset = "blobs" | "moons" | "spiral" | "xor";

/** Normal with mean 0 and variance 1. Box & Muller 1958. */
function normal(uniform: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** A point of that class, as a function of how far along its class it is (0 … 1). */
type Shape = (t: number, target: number, uniform: () => number) => [number, number];

const around = (x: number, y: number, spread: number): Shape =>
  (_, __, uniform) => [x + spread * normal(uniform), y + spread * normal(uniform)];

const moon = (side: 1 | -1): Shape => (t, _, uniform) => [
  side * (1.3 * Math.cos(Math.PI * t) - 0.65) + 0.13 * normal(uniform),
  side * (1.3 * Math.sin(Math.PI * t) - 0.35) + 0.13 * normal(uniform),
];

const arm: Shape = (t, target, uniform) => {
  const [radius, angle] = [0.25 + 2.2 * t, 4.2 * t + (2 * Math.PI * target) / 3 + 0.16 * normal(uniform)];
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
};

const corners = (sign: 1 | -1): Shape => (_, __, uniform) => {
  const side = uniform() < 0.5 ? 1 : -1;
  return [1.6 * side + 0.42 * normal(uniform), 1.6 * side * sign + 0.42 * normal(uniform)];
};

export const PRESETS: Record<Preset, Shape[]> = {
  blobs: [around(-1.3, -0.8, 0.55), around(1.3, -0.9, 0.55), around(0, 1.4, 0.55)],
  moons: [moon(1), moon(-1), around(1.9, 2, 0.35)],
  spiral: [arm, arm, arm],
  xor: [corners(1), corners(-1), around(0, 0, 0.3)],
};

export function presetPoints(preset: Preset, seed: number, each = EACH): Point[] {
  const uniform = generator(seed);
  return PRESETS[preset].flatMap((shape, target) =>
    Array.from({ length: each }, (_, n) => {
      const [x, y] = shape((n + 0.5) / each, target, uniform);
      return { x: onGrid(x), y: onGrid(y), target };
    }),
  );
}

/** How many classes a network for these points needs. */
export function classesOf(points: readonly Point[]): number {
  return Math.max(LEAST_CLASSES, ...points.map(({ target }) => target + 1));
}

// Three bytes a point: 10 bits for x, 10 for y, 3 for its class ----------------------------------------------------

const SIDE = 2 * EXTENT * STEPS; // 600 fits 10 bits

export function packPoints(points: readonly Point[]): string {
  const bits = (value: number) => Math.round((value + EXTENT) * STEPS);
  const codes = points.map(({ x, y, target }) => (bits(x) << 13) | (bits(y) << 3) | target);
  return packBytes(Uint8Array.from(codes.flatMap((code) => [code >> 16, code >> 8, code])));
}

export function unpackPoints(text: string): Point[] | undefined {
  const bytes = unpackBytes(text);
  if (bytes === undefined || bytes.length % 3 !== 0 || bytes.length > 3 * MOST) return undefined;
  const points: Point[] = [];
  for (let at = 0; at < bytes.length; at += 3) {
    const code = (bytes[at] << 16) | (bytes[at + 1] << 8) | bytes[at + 2];
    const [x, y, target] = [code >> 13, (code >> 3) & 1023, code & 7];
    if (x > SIDE || y > SIDE || target >= CLASSES) return undefined;
    points.push({ x: onGrid(x / STEPS - EXTENT), y: onGrid(y / STEPS - EXTENT), target });
  }
  return points;
}
