/**
 * softxent/definition.py in TypeScript, equation by equation and in its order: what every screen shows.
 *
 *     z_j = x_j / T
 *     p_j = exp(z_j) / Σ_k exp(z_k)          softmax
 *     loss = lse − z_y                       cross-entropy, in nats
 *
 * Nothing here subtracts what cancels: the others are summed apart, so that log(1 + tiny) stays tiny and p − 1 is −(the others).
 */

// Softmax: the soft max

/** z = x / T. */
export const scaled = (x: readonly number[], T = 1): number[] => x.map((x_j) => x_j / T);

export function argmax(x: readonly number[]): number {
  return x.indexOf(Math.max(...x));
}

/** z − m, m = max_j z_j: its largest entry is 0, so that exp cannot overflow, and softmax does not change. */
export function shifted(z: readonly number[]): number[] {
  const m = Math.max(...z);
  return z.map((z_j) => z_j - m);
}

export const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** Σ_{j≠index} e_j, summed without e_index rather than subtracting it. */
export const others = (e: readonly number[], index: number): number => sum(e.filter((_, j) => j !== index));

/** log Σ_j exp(z_j − m) = log1p(the others beside the largest). */
export const logNormalizer = (z: readonly number[]): number => Math.log1p(others(shifted(z).map(Math.exp), argmax(z)));

/** lse = m + log Σ_j exp(z_j − m). */
export const logsumexp = (z: readonly number[]): number => Math.max(...z) + logNormalizer(z);

/** p_j = exp(z_j − m) / Σ_k exp(z_k − m). */
export function softmax(x: readonly number[], T = 1): number[] {
  const e = shifted(scaled(x, T)).map(Math.exp);
  const total = sum(e);
  return e.map((e_j) => e_j / total);
}

/** log p_j = (z_j − m) − log Σ_k exp(z_k − m): a sum of two terms ≤ 0. */
export function logSoftmax(x: readonly number[], T = 1): number[] {
  const z = scaled(x, T);
  const logS = logNormalizer(z);
  return shifted(z).map((d_j) => d_j - logS);
}

// Its derivative: two cases

/** ∂p_j/∂z_i = p_j(1 − p_j) if i = j, and −p_j·p_i if not; 1 − p_j is summed from the others. */
export const softmaxJacobian = (p: readonly number[]): number[][] =>
  p.map((p_j, j) => p.map((p_i, i) => (i === j ? p_j * others(p, j) : -p_j * p_i)));

/** ∂(−ln p_y)/∂z_i = (−1/p_y)·∂p_y/∂z_i, row y of the Jacobian: p − y. */
export const chainRule = (p: readonly number[], y: number): number[] =>
  softmaxJacobian(p)[y].map((slope) => (-1 / p[y]) * slope);

// Cross-entropy and its gradient

/** loss = lse − z_y, a sum of two terms ≥ 0. */
export const crossEntropy = (x: readonly number[], y: number, T = 1): number => -logSoftmax(x, T)[y] + 0;

/** ∂loss/∂x = (p − y) / T; at the target −(the others) / Σ, never p_y − 1. */
export function gradient(x: readonly number[], y: number, T = 1): number[] {
  const e = shifted(scaled(x, T)).map(Math.exp);
  const total = sum(e);
  return e.map((e_j, j) => (j === y ? -others(e, y) : e_j) / total / T);
}

// What is shown of many classes

/** The classes to keep and then the most probable, `most` in all, in ascending order. */
export function mostProbable(p: readonly number[], keep: readonly number[], most: number): number[] {
  const rank = (j: number) => (keep.includes(j) ? 2 : p[j]);
  const byRank = p.map((_, j) => j).sort((a, b) => rank(b) - rank(a) || a - b);
  return byRank.slice(0, most).sort((a, b) => a - b);
}
