/** The sum behind one of the numbers that a step brings, written out with its numbers. */

import { brief, tight } from "../../math/digits.ts";
import { ACTIVATIONS } from "../../math/network.ts";
import type { Cell } from "../../parts/Table.svelte";
import { EXAMPLE, STAGES, type Settings } from "./settings.ts";
import { dataName, title, unit, type Trace } from "./trace.ts";

/** A number; raised: an exponent; fresh: what the sum comes to. */
export type Piece = string | (Cell & { raised?: boolean; fresh?: boolean });

const number = (name: string, value: number): Piece => ({ name, value, shown: tight(value) });
const factor = (name: string, value: number): Piece[] => (value < 0 ? ["(", number(name, value), ")"] : [number(name, value)]);
const result = (name: string, value: number): Piece[] => [" = ", { name, value, shown: tight(value), fresh: true }];
const times = (left: Piece[], right: Piece[]) => [...left, "·", ...right];
const plus = (terms: Piece[][]) => terms.flatMap((term, n) => (n > 0 ? [" + ", ...term] : term));

/** At each step the number that lies on the way of the chosen parameter, or of the example. */
export function written(settings: Settings, trace: Trace, stage: number): Piece[] {
  const { network, x, target: y } = settings;
  const { up, grad, scores, p, slopes } = trace;
  const { layer, from, to } = settings.chosen ?? EXAMPLE;
  const [m, k, i] = layer === 0 ? [from ?? 0, to, y] : [x.length - 1, from ?? 0, to];

  const into = (layer: number, to: number, name: string, h: number[]): Piece[] => {
    const terms = h.map((h_j, j) => {
      const weight = { layer, from: j, to };
      return times(factor(`${name}[${j}]`, h_j), factor(dataName(weight), network.weights[layer][j][to]));
    });
    return plus([...terms, factor(dataName({ layer, from: null, to }), network.biases[layer][to])]);
  };
  const power = (j: number): Piece[] => ["e", { name: `z[${j}]`, value: scores[j], shown: brief(scores[j], 3), raised: true }];
  const h_k = up.h[1][k];
  const slope = ACTIVATIONS[network.activation].slope(h_k);

  const sums: Record<(typeof STAGES)[number], () => Piece[]> = {
    x: () => [],
    h: () => [
      `${unit("a", k)} = `, ...into(0, k, "x", x), ...result(`a_1[${k}]`, up.a[0][k]),
      `, ${unit("h", k)} = σ(${unit("a", k)})`, ...result(`h_1[${k}]`, h_k),
    ],
    z: () => [`${unit("z", i)} = `, ...into(1, i, "h_1", up.h[1]), ...result(`z[${i}]`, scores[i])],
    p: () => [`${unit("p", y)} = `, ...power(y), " / (", ...plus(scores.map((_, j) => power(j))), ")", ...result(`p[${y}]`, p[y])],
    loss: () => ["−ln ", number(`p[${y}]`, p[y]), ...result("loss", trace.loss)],
    "p − y": () => [
      `${unit("p", i)} − ${unit("y", i)} = ∂loss/∂${unit("p", y)} · ∂${unit("p", y)}/∂${unit("z", i)} = `,
      ...times([number(`grad_p[${y}]`, -1 / p[y])], factor(`jacobian[${y},${i}]`, slopes[i])), ...result(`grad_z[${i}]`, grad.a[1][i]),
    ],
    W_2: () => [
      `∂loss/∂${title({ layer: 1, from: k, to: i })} = ${unit("h", k)}·(${unit("p", i)} − ${unit("y", i)}) = `,
      ...times([number(`h_1[${k}]`, h_k)], factor(`grad_z[${i}]`, grad.a[1][i])),
      ...result(`grad_${dataName({ layer: 1, from: k, to: i })}`, grad.weights[1][k][i]),
    ],
    "by h": () => [
      `∂loss/∂${unit("h", k)} = `,
      ...plus(network.weights[1][k].map((weight, j) =>
        times(factor(dataName({ layer: 1, from: k, to: j }), weight), factor(`grad_z[${j}]`, grad.a[1][j])))),
      ...result(`grad_h_1[${k}]`, grad.h[1][k]),
    ],
    "by a": () => [
      `∂loss/∂${unit("a", k)} = ∂loss/∂${unit("h", k)} · σ′(${unit("a", k)}) = `,
      ...times([number(`grad_h_1[${k}]`, grad.h[1][k])], [number(`slope[${k}]`, slope)]), ...result(`grad_a_1[${k}]`, grad.a[0][k]),
    ],
    W_1: () => [
      `∂loss/∂${title({ layer: 0, from: m, to: k })} = ${unit("x", m)} · ∂loss/∂${unit("a", k)} = `,
      ...times([number(`x[${m}]`, x[m])], factor(`grad_a_1[${k}]`, grad.a[0][k])),
      ...result(`grad_${dataName({ layer: 0, from: m, to: k })}`, grad.weights[0][m][k]),
    ],
  };
  return sums[STAGES[stage]]();
}
