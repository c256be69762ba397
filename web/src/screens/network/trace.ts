/** All numbers of screen 6, and what to call them. */

import { chain, forward, lossAndGrad, lossAt, step, valueOf } from "../../math/network.ts";
import type { Factor, Forward, Gradient, Parameter } from "../../math/network.ts";
import { softmax, softmaxJacobian } from "../../math/softmax.ts";
import type { Settings } from "./settings.ts";

export interface Trace {
  up: Forward;
  scores: number[];
  p: number[];
  loss: number;
  slopes: number[]; // ∂p_y/∂z_i
  grad: Gradient;
  after: number; // the loss after a step
}

export function traceOf({ network, x, target, learningRate }: Settings): Trace {
  const up = forward(network, x);
  const scores = up.a[1];
  const p = softmax(scores);
  const { loss, grad } = lossAndGrad(network, x, target);
  return { up, scores, p, loss, grad, slopes: softmaxJacobian(p)[target], after: lossAt(step(network, grad, learningRate), x, target) };
}

const subscript = (n: number) => String.fromCharCode(0x2080 + n);

/** x₀, W₂[0,1], b₂[1]: as on the page. */
export const unit = (letter: string, i: number) => letter + subscript(i);
export const title = ({ layer, from, to }: Parameter) =>
  from === null ? `b${subscript(layer + 1)}[${to}]` : `W${subscript(layer + 1)}[${from},${to}]`;

/** W_2[0,1], b_2[1]: as in the code, for data-name. */
export const dataName = ({ layer, from, to }: Parameter) =>
  from === null ? `b_${layer + 1}[${to}]` : `W_${layer + 1}[${from},${to}]`;

export const gradientOf = ({ grad }: Trace, parameter: Parameter) => valueOf(grad, parameter);

/** What each path from a parameter to the loss is the product of. */
export const pathsOf = ({ network }: Settings, { up, grad }: Trace, parameter: Parameter): Factor[][] =>
  chain(network, up, grad, parameter);

/** The nodes and edges that a parameter's paths go through, by the keys that the drawing gives them. */
export function wayOf({ layer, from, to }: Parameter, target: number, classes: number): Set<string> {
  const scores = layer === 1 ? [to] : Array.from({ length: classes }, (_, k) => k);
  const way = ["loss", `p${target}`, ...scores.flatMap((k) => [`z${k}`, `z${k}p`])];
  if (from !== null) way.push(`${layer === 0 ? "x" : "h"}${from}`);
  if (layer === 0) way.push(`h${to}`, ...scores.map((k) => `W2.${to}.${k}`));
  return new Set(way);
}
