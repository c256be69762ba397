/** From ∂(−ln p_y)/∂z_i to p_i − y_i: the formulas of each line, one for both cases or one a case. */

import { index, minusLn } from "./equations.ts";
import { frac, marked, row, type MathNode } from "./mathml.ts";

const p_y = index("p", "y");
const p_i = index("p", "i");
const by = (above: MathNode | string) => frac(row("∂", above), row("∂", index("z", "i")));
const gone = (node: MathNode) => marked("gone", node);

export interface Line {
  both?: MathNode;
  same?: MathNode; // i = y
  other?: MathNode; // i ≠ y
}

export const LINES: Line[] = [
  { both: row(by("loss"), "=", by(row("(", minusLn(p_y), ")"))) },
  { both: row("=", row("−", frac("1", p_y), "·", by(p_y))) },
  {
    same: row("−", frac("1", p_y), "·", p_y, "(", "1", "−", p_y, ")"),
    other: row("−", frac("1", p_y), "·", "(", row("−", p_y, "·", p_i), ")"),
  },
  {
    same: row("−", frac("1", gone(p_y)), "·", gone(p_y), "(", "1", "−", p_y, ")"),
    other: row("−", frac("1", gone(p_y)), "·", "(", row("−", gone(p_y), "·", p_i), ")"),
  },
  { same: row(p_y, "−", "1"), other: row(p_i, "−", "0") },
  { both: marked("lit", row(p_i, "−", index("y", "i"))) },
];
