/** ∂p_j/∂z_i by the quotient rule, line by line, for the case that the two indices are in. */

import { decimal, expZ, index, lit, sumExp, sumOfAll } from "./equations.ts";
import { frac, row, sup, type MathNode } from "./mathml.ts";

const slope = (j: number, i: number) => frac(row("∂", index("p", j)), row("∂", index("z", i)));
const squared = (sum: MathNode) => sup(row("(", sum, ")"), "2");

/** p_j with every z_i in it lit: above and below the fraction bar, or below it only. */
export function whereItStands(classes: number, j: number, i: number): MathNode {
  return row(
    index("p", j), "=",
    frac(lit(i === j, expZ(j)), sumOfAll(classes, i, (k) => lit(k === i, expZ(k)))),
  );
}

export function quotientRule(j: number, i: number): MathNode {
  const above = i === j ? expZ(j) : row("0");
  return row(
    slope(j, i), "=",
    frac(row(above, "·", sumExp(), "−", expZ(j), "·", expZ(i)), squared(sumExp())),
  );
}

export function split(j: number, i: number): MathNode {
  if (i === j) {
    return row(
      "=", frac(expZ(j), sumExp()), "·", frac(row(sumExp(), "−", expZ(j)), sumExp()),
      "=", index("p", j), "(", "1", "−", index("p", j), ")",
    );
  }
  return row(
    "=", row("−", frac(expZ(j), sumExp()), "·", frac(expZ(i), sumExp())),
    "=", row("−", index("p", j), "·", index("p", i)),
  );
}

export function withNumbers(p: readonly number[], value: number, j: number, i: number): MathNode {
  const result = decimal(`jacobian[${j}][${i}]`, value);
  const p_j = () => decimal(`p[${j}]`, p[j]);
  if (i === j) return row("=", p_j(), "(", "1", "−", p_j(), ")", "=", result);
  return row("=", row("−", p_j(), "·", decimal(`p[${i}]`, p[i])), "=", result);
}
