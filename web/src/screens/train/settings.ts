/** What screen 7 remembers, as the text of view.train and back; what a text says wrongly becomes the default. */

import { flat, withFlat, type Network } from "../../math/network.ts";
import { pack, unpack } from "../../math/pack.ts";
import { CLASSES, EXTENT, PRESETS, classesOf, onGrid, packPoints, presetPoints, unpackPoints, type Preset } from "../../math/points.ts";
import { start, trainStep, widened, type Point } from "../../math/train.ts";

export interface State {
  preset: Preset | "own"; // own: the points are written out
  hidden: number; // 0: linear
  learningRate: number;
  batch: number; // 0: all points
  seed: number;
  speed: number;
  steps: number;
  x: number; // the cross
  y: number;
  points: Point[];
  network: Network;
}

export const HIDDEN = { least: 1, most: 16 };
export const LEARNING_RATES = { least: 0.001, most: 10 };
export const BATCHES = [0, 32, 8, 1];
export const SPEEDS = [1, 5, 20];
export const MOST_STEPS = 1e6;
export const SEEDS = 999;
export const isPreset = (name: string | undefined): name is Preset => name !== undefined && name in PRESETS;

/** Three groups that a linear model has learned to part, and one blue point that then strayed. */
export function question(): State {
  const settings = { hidden: 0, learningRate: 0.5, batch: 0, seed: 1, speed: 1, steps: 200, x: 1.3, y: -0.9 };
  const points = presetPoints("blobs", settings.seed);
  let network = start(0, classesOf(points), settings.seed);
  for (let n = 0; n < settings.steps; n++) network = trainStep(network, points, n, settings);
  const stray = { x: settings.x, y: settings.y, target: 0 };
  return { ...settings, preset: "own", points: [...points.slice(1), stray], network };
}

export function readState(text: string): State {
  const [preset, hidden, learningRate, batch, seed, speed, steps, x, y, classes, own = "", theta = ""] = text.split(",");
  const drawn = whole(seed, 0, SEEDS) ?? 1;
  const points = isPreset(preset) ? presetPoints(preset, drawn) : preset === "own" ? unpackPoints(own) : undefined;
  if (points === undefined) return question();
  const units = whole(hidden, 0, HIDDEN.most) ?? 0;
  const fresh = start(units, Math.max(classesOf(points), whole(classes, 0, CLASSES) ?? 0), drawn);
  const trained = withFlat(fresh, unpack(theta) ?? []);
  return {
    preset: isPreset(preset) ? preset : "own",
    hidden: units,
    learningRate: within(learningRate, LEARNING_RATES.least, LEARNING_RATES.most) ?? 0.3,
    batch: BATCHES.find((one) => String(one) === batch) ?? 0,
    seed: drawn,
    speed: SPEEDS.find((one) => String(one) === speed) ?? 1,
    steps: (trained && whole(steps, 0, MOST_STEPS)) ?? 0,
    x: onGrid(within(x, -EXTENT, EXTENT) ?? 0),
    y: onGrid(within(y, -EXTENT, EXTENT) ?? 0),
    points,
    network: trained ?? fresh,
  };
}

export function writeState(state: State): string {
  const { preset, hidden, learningRate, batch, seed, speed, steps, x, y, points, network } = state;
  const own = preset === "own" ? packPoints(points) : "";
  const theta = steps > 0 ? pack(flat(network)) : "";
  return [preset, hidden, learningRate, batch, seed, speed, steps, x, y, outputs(network), own, theta].join(",");
}

export const outputs = (network: Network) => network.biases.at(-1)!.length;

/** A network for the points: the same one, unless they have more classes than it knows. */
export const fitting = (network: Network, points: readonly Point[]) => widened(network, classesOf(points));

function within(text: string | undefined, least: number, most: number): number | undefined {
  const value = text ? Number(text) : NaN;
  return value >= least && value <= most ? value : undefined;
}

function whole(text: string | undefined, least: number, most: number): number | undefined {
  const value = within(text, least, most);
  return Number.isInteger(value) ? value : undefined;
}
