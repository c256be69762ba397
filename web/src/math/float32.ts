/** The loss of two scores [0, lead], the second class being right, each step rounded as float32 arithmetic rounds it. */

import { crossEntropy, gradient } from "./softmax.ts";

const f = Math.fround;

/** The distance from 1 to the next float32: what is added to 1 and is less than half of it, is lost. */
export const SPACING_AT_1 = 2 ** -23;

export interface Float32Steps {
  exp: number; // e^(0 − lead), the term of the other class
  sum: number; // what the logarithm is taken of: the sum, or for ours the others alone
  loss: number;
  gradient: number; // at the true class
}

/** loss = log Σ − (z_y − m), gradient p_y − 1: log-softmax as it is usually computed. */
export function usual(lead: number): Float32Steps {
  const exp = f(Math.exp(f(-lead)));
  const sum = f(1 + exp);
  return { exp, sum, loss: f(Math.log(sum)), gradient: f(f(1 / sum) - 1) };
}

/** loss = log1p(others), gradient −others / Σ: softxent's way, with the same 24 bits. */
export function ours(lead: number): Float32Steps {
  const exp = f(Math.exp(f(-lead)));
  return { exp, sum: exp, loss: f(Math.log1p(exp)), gradient: -f(exp / f(1 + exp)) };
}

export const truth = (lead: number) => ({
  exp: Math.exp(-lead),
  loss: crossEntropy([0, lead], 1),
  gradient: gradient([0, lead], 1)[1],
});
