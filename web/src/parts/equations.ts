/** The formulas that more than one screen shows. */

import { brief, decimals } from "../math/digits.ts";
import { marked, num, row, sub, sumOver, sup, text, type MathNode } from "./mathml.ts";

const TERMS = 6;

/** The terms of a sum over all classes: all of few; of many the first two, the lit one and the last, and dots between. */
export function sumOfAll(classes: number, lit: number, term: (j: number) => MathNode): MathNode {
  const all = Array.from({ length: classes }, (_, j) => j);
  const told = classes <= TERMS ? all : [...new Set([0, 1, lit, classes - 1])].sort((a, b) => a - b);
  const terms = told.flatMap((j, k) => {
    const between = k === 0 ? [] : j === told[k - 1] + 1 ? ["+"] : ["+", text("⋯"), "+"];
    return [...between, term(j)];
  });
  return row(...terms);
}

export const index = (symbol: string, j: number | string) => sub(symbol, String(j));
export const expOf = (exponent: MathNode | string) => sup("e", exponent);
export const expZ = (j: number | string) => expOf(index("z", j));
export const sumExp = () => row(sumOver("k"), expZ("k"));
export const decimal = (name: string, value: number) => num(name, value, decimals(value));
export const short = (name: string, value: number) => num(name, value, brief(value));
export const signed = (value: number, node: MathNode) => (value < 0 ? row("(", node, ")") : node);
export const minusLn = (node: MathNode) => row("−", text("ln\u00a0"), node);
export const lit = (on: boolean, node: MathNode) => (on ? marked("lit", node) : node);
