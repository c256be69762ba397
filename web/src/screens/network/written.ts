/** The sum behind one of the numbers that a step brings, written out with its numbers. */

import { brief, tight } from "../../math/digits.ts";
import { ACTIVATIONS } from "../../math/network.ts";
import type { Cell } from "../../parts/Table.svelte";
import { EXAMPLE, STAGES, type Settings } from "./settings.ts";
import { dataName, title, unit, type Trace } from "./trace.ts";

/** A number; raised: an exponent; fresh: what the sum comes to. */
export type Piece = string | (Cell & { raised?: boolean; fresh?: boolean });

const rounded = (piece: Piece) => typeof piece !== "string" && Number(piece.shown?.replaceAll("−", "-")) !== piece.value;
/** A sum and what it comes to: ≈ where the digits shown do not add up to those of the result. */
const equation = (sum: Piece[], name: string, value: number): Piece[] => {
  const result = { name, value, shown: tight(value), fresh: true };
  return [...sum, [...sum, result].some(rounded) ? " ≈ " : " = ", result];
};

const number = (name: string, value: number): Piece => ({ name, value, shown: tight(value) });
const factor = (name: string, value: number): Piece[] => (value < 0 ? ["(", number(name, value), ")"] : [number(name, value)]);
const times = (left: Piece[], right: Piece[]) => [...left, "·", ...right];
const plus = (terms: Piece[][]) => terms.flatMap((term, n) => (n > 0 ? [" + ", ...term] : term));

/** The input, the hidden unit and the score on the way of the chosen parameter, or of the example. */
export function wayThrough({ chosen = EXAMPLE, x, target }: Settings): [m: number, k: number, i: number] {
  const { layer, from, to } = chosen;
  return layer === 0 ? [from ?? 0, to, target] : [x.length - 1, from ?? 0, to];
}

/** At each step the number that lies on the way of the chosen parameter, or of the example. */
export function written(settings: Settings, trace: Trace, stage: number): Piece[] {
  const { network, x, target: y } = settings;
  const { up, grad, scores, p, slopes } = trace;
  const [m, k, i] = wayThrough(settings);

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
      `${unit("a", k)} = `, ...equation(into(0, k, "x", x), `a_1[${k}]`, up.a[0][k]),
      ", ", ...equation([`${unit("h", k)} = σ(${unit("a", k)})`], `h_1[${k}]`, h_k),
    ],
    z: () => [`${unit("z", i)} = `, ...equation(into(1, i, "h_1", up.h[1]), `z[${i}]`, scores[i])],
    p: () => [`${unit("p", y)} = `, ...equation([...power(y), " / (", ...plus(scores.map((_, j) => power(j))), ")"], `p[${y}]`, p[y])],
    loss: () => equation([`−ln ${unit("p", y)} = −ln `, number(`p[${y}]`, p[y])], "loss", trace.loss),
    "p − y": () => [
      `${unit("p", i)} − ${unit("y", i)} = ∂loss/∂${unit("p", y)} · ∂${unit("p", y)}/∂${unit("z", i)} = `,
      ...equation(times([number(`grad_p[${y}]`, -1 / p[y])], factor(`jacobian[${y},${i}]`, slopes[i])), `grad_z[${i}]`, grad.a[1][i]),
    ],
    W_2: () => [
      `∂loss/∂${title({ layer: 1, from: k, to: i })} = ${unit("h", k)}·(${unit("p", i)} − ${unit("y", i)}) = `,
      ...equation(times([number(`h_1[${k}]`, h_k)], factor(`grad_z[${i}]`, grad.a[1][i])), `grad_${dataName({ layer: 1, from: k, to: i })}`, grad.weights[1][k][i]),
    ],
    "by h": () => [
      `∂loss/∂${unit("h", k)} = `,
      ...equation(plus(network.weights[1][k].map((weight, j) =>
        times(factor(dataName({ layer: 1, from: k, to: j }), weight), factor(`grad_z[${j}]`, grad.a[1][j])))), `grad_h_1[${k}]`, grad.h[1][k]),
    ],
    "by a": () => [
      `∂loss/∂${unit("a", k)} = ∂loss/∂${unit("h", k)} · σ′(${unit("a", k)}) = `,
      ...equation(times([number(`grad_h_1[${k}]`, grad.h[1][k])], [number(`slope[${k}]`, slope)]), `grad_a_1[${k}]`, grad.a[0][k]),
    ],
    W_1: () => [
      `∂loss/∂${title({ layer: 0, from: m, to: k })} = ${unit("x", m)} · ∂loss/∂${unit("a", k)} = `,
      ...equation(times([number(`x[${m}]`, x[m])], factor(`grad_a_1[${k}]`, grad.a[0][k])), `grad_${dataName({ layer: 0, from: m, to: k })}`, grad.weights[0][m][k]),
    ],
  };
  return sums[STAGES[stage]]();
}
