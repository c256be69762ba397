/**
 * A network and its back-propagation, as in src/softxent/sklearn/network.py and docs/backpropagation.md:
 *
 *     h_0 = x,  a_k = h_{k−1}·W_k + b_k,  h_k = σ(a_k)        hidden layer k = 1 … K
 *     logits = h_K·W_{K+1} + b_{K+1}
 *
 * and down again, from δ = p − y:
 *
 *     ∂loss/∂W_k = h_{k−1}ᵀ·δ      ∂loss/∂b_k = δ      ∂loss/∂h_{k−1} = δ·W_kᵀ      δ ← ∂loss/∂h_{k−1} ∘ σ'(a_{k−1})
 */
import { crossEntropy, gradient } from "./softmax.ts";

export type Vector = number[];
export type Matrix = number[][];

export type Activation = "relu" | "tanh" | "logistic";

/** σ, and σ'(a) written in h = σ(a). */
export const ACTIVATIONS: Record<Activation, { value: (a: number) => number; slope: (h: number) => number }> = {
  relu: { value: (a) => Math.max(a, 0), slope: (h) => (h > 0 ? 1 : 0) },
  tanh: { value: Math.tanh, slope: (h) => 1 - h * h },
  logistic: { value: (a) => 1 / (1 + Math.exp(-a)), slope: (h) => h * (1 - h) },
};

/** W_k, inputs × outputs, and b_k of all layers. */
export interface Parameters {
  weights: Matrix[];
  biases: Vector[];
}

export interface Network extends Parameters {
  activation: Activation;
}

/** What a forward pass computes: h[0] = x, and the last of `a` are the logits. */
export interface Forward {
  h: Vector[];
  a: Vector[];
}

/** ∂loss by everything: the last of `a` is p − y. */
export interface Gradient extends Parameters {
  h: Vector[];
  a: Vector[];
}

export function forward({ activation, weights, biases }: Network, x: Vector): Forward {
  const h = [x];
  const a: Vector[] = [];
  for (let k = 0; k < weights.length; k++) {
    a.push(through(h[k], weights[k], biases[k]));
    if (k < weights.length - 1) h.push(a[k].map(ACTIVATIONS[activation].value));
  }
  return { h, a };
}

/** h·W + b. */
function through(h: Vector, W: Matrix, b: Vector): Vector {
  const a = new Array<number>(b.length).fill(0);
  for (let i = 0; i < h.length; i++) for (let j = 0; j < a.length; j++) a[j] += h[i] * W[i][j];
  for (let j = 0; j < a.length; j++) a[j] += b[j];
  return a;
}

export function logits(network: Network, x: Vector): Vector {
  return forward(network, x).a.at(-1)!;
}

export function lossAt(network: Network, x: Vector, target: number): number {
  return crossEntropy(logits(network, x), target);
}

/** Adds ∂loss/∂W and ∂loss/∂b to `into`, from δ = ∂loss/∂logits; returns ∂loss/∂h and ∂loss/∂a of every layer. */
export function backward(
  { activation, weights }: Network,
  { h }: Forward,
  delta: Vector,
  into: Parameters,
): { h: Vector[]; a: Vector[] } {
  const down: { h: Vector[]; a: Vector[] } = { h: [], a: [] };
  for (let k = weights.length - 1; k >= 0; k--) {
    down.a.unshift(delta);
    addTo(into.biases[k], 1, delta);
    for (let i = 0; i < h[k].length; i++) addTo(into.weights[k][i], h[k][i], delta);
    const by_h = weights[k].map((row) => dot(row, delta));
    down.h.unshift(by_h);
    delta = by_h.map((by_h_i, i) => by_h_i * ACTIVATIONS[activation].slope(h[k][i]));
  }
  return down;
}

function addTo(sum: Vector, times: number, a: Vector): void {
  for (let j = 0; j < a.length; j++) sum[j] += times * a[j];
}

function dot(a: Vector, b: Vector): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** Loss and gradient for one row. */
export function lossAndGrad(network: Network, x: Vector, target: number): { loss: number; grad: Gradient } {
  const up = forward(network, x);
  const scores = up.a.at(-1)!;
  const into = zerosLike(network);
  const down = backward(network, up, gradient(scores, target), into);
  return { loss: crossEntropy(scores, target), grad: { ...into, ...down } };
}

export function zerosLike({ weights, biases }: Parameters): Parameters {
  return { weights: weights.map((W) => W.map((row) => row.map(() => 0))), biases: biases.map((b) => b.map(() => 0)) };
}

/** θ − η·∂loss/∂θ. */
export function step(network: Network, grad: Parameters, eta: number): Network {
  const minus = (theta: Vector, by: Vector) => theta.map((value, i) => value - eta * by[i]);
  return {
    ...network,
    weights: network.weights.map((W, k) => W.map((row, i) => minus(row, grad.weights[k][i]))),
    biases: network.biases.map((b, k) => minus(b, grad.biases[k])),
  };
}

// One vector of all parameters, weights first, as Parameters.flat of network.py -----------------------------------

export function flat({ weights, biases }: Parameters): Vector {
  return [...weights.flat(2), ...biases.flat()];
}

/** The network with these parameters; undefined if their number is another, or one is not finite. */
export function withFlat(network: Network, theta: Vector): Network | undefined {
  if (theta.length !== flat(network).length || !theta.every(Number.isFinite)) return undefined;
  let at = 0;
  const take = (vector: Vector) => vector.map(() => theta[at++]);
  const weights = network.weights.map((W) => W.map(take));
  return { ...network, weights, biases: network.biases.map(take) };
}

/** A network of zeros: inputs, hidden units …, classes. */
export function zeros(units: number[], activation: Activation): Network {
  const weights = units.slice(1).map((above, k) => Array.from({ length: units[k] }, () => new Array(above).fill(0)));
  return { activation, weights, biases: units.slice(1).map((above) => new Array(above).fill(0)) };
}

// The chain of a parameter -------------------------------------------------------------------------------------------

/** W_layer[from, to], or b_layer[to] where `from` is null; layers are counted from 0 here, from 1 in their names. */
export interface Parameter {
  layer: number;
  from: number | null;
  to: number;
}

export function parametersOf({ weights, biases }: Parameters): Parameter[] {
  const W = weights.flatMap((rows, layer) => rows.flatMap((row, from) => row.map((_, to) => ({ layer, from, to }))));
  return [...W, ...biases.flatMap((b, layer) => b.map((_, to) => ({ layer, from: null, to })))];
}

export function valueOf({ weights, biases }: Parameters, { layer, from, to }: Parameter): number {
  return from === null ? biases[layer][to] : weights[layer][from][to];
}

export function withValue(network: Network, parameter: Parameter, value: number): Network {
  const at = parametersOf(network).findIndex((other) => same(other, parameter));
  return withFlat(network, flat(network).map((old, i) => (i === at ? value : old))) ?? network;
}

export function same(a: Parameter, b: Parameter): boolean {
  return a.layer === b.layer && a.from === b.from && a.to === b.to;
}

/** One factor of a path: what came into the weight, σ', a weight on the way up, or p − y of a score. */
export type Factor =
  | { kind: "input"; layer: number; unit: number | null; value: number }
  | { kind: "slope"; layer: number; unit: number; value: number }
  | { kind: "weight"; layer: number; from: number; to: number; value: number }
  | { kind: "score"; unit: number; value: number };

/** The paths from a parameter to the loss: ∂loss/∂θ is the sum of their products. */
export function chain(network: Network, { h }: Forward, grad: Gradient, { layer, from, to }: Parameter): Factor[][] {
  const input: Factor = { kind: "input", layer, unit: from, value: from === null ? 1 : h[layer][from] };
  return above(network, h, grad, layer, to).map((path) => [input, ...path]);
}

function above(network: Network, h: Vector[], grad: Gradient, layer: number, unit: number): Factor[][] {
  if (layer === network.weights.length - 1) return [[{ kind: "score", unit, value: grad.a[layer][unit] }]];
  const { slope } = ACTIVATIONS[network.activation];
  const through: Factor = { kind: "slope", layer, unit, value: slope(h[layer + 1][unit]) };
  return network.weights[layer + 1][unit].flatMap((value, to) => {
    const weight: Factor = { kind: "weight", layer: layer + 1, from: unit, to, value };
    return above(network, h, grad, layer + 1, to).map((path) => [through, weight, ...path]);
  });
}

export function product(path: Factor[]): number {
  return path.reduce((value, factor) => value * factor.value, 1);
}

/** (loss(θ + h) − loss(θ − h)) / 2h, divided by the step that float64 really took. */
export function finiteDifference(network: Network, x: Vector, target: number, parameter: Parameter, h = 1e-5): number {
  const theta = valueOf(network, parameter);
  const [up, down] = [theta + h, theta - h];
  const loss = (value: number) => lossAt(withValue(network, parameter, value), x, target);
  return (loss(up) - loss(down)) / (up - down);
}

// The worked example -------------------------------------------------------------------------------------------------

export const X: Vector = [1, 2];
export const SCORES: Vector = [1, 5, 3];
export const TARGET = 1;

/** The network of docs/backpropagation.md; with another σ, b_2 is what leads to the same scores. */
export function example(activation: Activation): Network {
  const network: Network = {
    activation,
    weights: [[[0, 1, -1], [1, -1, 1]], [[0, 2, 1], [1, -1, 0], [1, 1, 1]]],
    biases: [[0, 0, 0], [0, 0, 0]],
  };
  const scores = logits(network, X);
  return { ...network, biases: [network.biases[0], SCORES.map((score, j) => score - scores[j])] };
}
