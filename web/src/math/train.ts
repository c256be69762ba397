/** Training by gradient descent, on all points at once or on a few at a time; a seed repeats it. */
import { backward, forward, step, zeros, zerosLike, type Network, type Parameters, type Vector } from "./network.ts";
import { generator } from "./random.ts";
import { argmax, crossEntropy, gradient } from "./softmax.ts";

/** A point of the plane, and its class. */
export interface Point {
  x: number;
  y: number;
  target: number;
}

/** Mean loss of the points, and how many are classified correctly. */
export interface Score {
  loss: number;
  right: number;
}

export function evaluate(network: Network, points: readonly Point[]): Score {
  const score = { loss: 0, right: 0 };
  for (const { x, y, target } of points) add(score, forward(network, [x, y]).a.at(-1)!, target, points.length);
  return score;
}

function add(score: Score, logits: Vector, target: number, rows: number): void {
  score.loss += crossEntropy(logits, target) / rows;
  score.right += Number(argmax(logits) === target);
}

/** ∂(mean loss)/∂θ. */
export function meanGradient(network: Network, points: readonly Point[]): Parameters {
  const grad = zerosLike(network);
  for (const { x, y, target } of points) {
    const up = forward(network, [x, y]);
    backward(network, up, gradient(up.a.at(-1)!, target).map((delta) => delta / points.length), grad);
  }
  return grad;
}

/** W uniform in ±√(6 / (inputs + outputs)); a single layer starts at 0. Glorot & Bengio 2010, eq. 16. */
export function start(hidden: number, classes: number, seed: number): Network {
  const network = zeros(hidden ? [2, hidden, classes] : [2, classes], "tanh");
  if (!hidden) return network;
  const uniform = generator(seed);
  for (const W of network.weights) {
    const bound = Math.sqrt(6 / (W.length + W[0].length));
    for (const row of W) row.forEach((_, j) => (row[j] = bound * (2 * uniform() - 1)));
  }
  return network;
}

/** The same network with outputs of 0 for classes that it has not met yet. */
export function widened(network: Network, classes: number): Network {
  const more = new Array<number>(Math.max(classes - network.biases.at(-1)!.length, 0)).fill(0);
  const last = network.weights.length - 1;
  return {
    ...network,
    weights: network.weights.map((W, k) => (k === last ? W.map((row) => [...row, ...more]) : W)),
    biases: network.biases.map((b, k) => (k === last ? [...b, ...more] : b)),
  };
}

export interface Settings {
  learningRate: number;
  batch: number; // points a step; 0: all of them
  seed: number;
}

/** The network after step number `steps`, counted from 0. */
export function trainStep(network: Network, points: readonly Point[], steps: number, settings: Settings): Network {
  if (points.length === 0) return network;
  return step(network, meanGradient(network, batchOf(points, steps, settings)), settings.learningRate);
}

/** The points of one step: each epoch goes over all in an order of its own. */
export function batchOf(points: readonly Point[], steps: number, { batch, seed }: Settings): Point[] {
  if (batch === 0 || batch >= points.length) return [...points];
  const batches = Math.ceil(points.length / batch);
  const order = shuffled(points.length, seed + 1 + Math.floor(steps / batches));
  const first = (steps % batches) * batch;
  return order.slice(first, first + batch).map((i) => points[i]);
}

/** 0 … count − 1 in a random order. Fisher & Yates 1938. */
function shuffled(count: number, seed: number): number[] {
  const uniform = generator(seed);
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(uniform() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
