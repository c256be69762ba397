/** Why gradients are 0: which numbers, and the reason, of all that have come so far. */

import { ACTIVATIONS } from "../../math/network.ts";
import { say } from "../../words/network.ts";
import { STAGES, type Settings } from "./settings.ts";
import { unit, type Trace } from "./trace.ts";

const ROUNDING = 1e-12; // what it leaves, of parts that cancel, of the largest

/** The reason why a sum of weights times gradients is 0; none if it is not. */
function vanishing(weights: number[], delta: number[], sum: number): "cancel" | "no part" | undefined {
  const largest = Math.max(...weights.map((weight, j) => Math.abs(weight * delta[j])));
  if (largest === 0) return "no part";
  return Math.abs(sum) <= ROUNDING * largest ? "cancel" : undefined;
}

export function zeros({ network, x, target }: Settings, { up, grad, p }: Trace, stage: number): string[] {
  const reached = (name: (typeof STAGES)[number]) => stage >= STAGES.indexOf(name);
  const list = (letter: string, values: number[], chosen: (value: number, i: number) => boolean) =>
    values.flatMap((value, i) => (chosen(value, i) ? [unit(letter, i)] : [])).join(", ");
  const because = (reason: Parameters<typeof say>[0], units: string) => (units === "" ? [] : [say(reason, { units, y: target })]);
  const back = (letter: string, layer: number, reason: "cancel" | "no part") =>
    because(reason, list(letter, grad.h[layer], (sum, k) => vanishing(network.weights[layer][k], grad.a[layer], sum) === reason));

  const { slope } = ACTIVATIONS[network.activation];
  return [
    ...(reached("p − y") ? because("zero p", list("p", p, (_, j) => j !== target)) : []),
    ...(reached("W_2") ? because("zero weights", list("h", up.h[1], (h) => h === 0)) : []),
    ...(reached("by h") ? [...back("h", 1, "cancel"), ...back("h", 1, "no part")] : []),
    ...(reached("by a") ? because("flat", list("a", up.h[1], (h) => slope(h) === 0)) : []),
    ...(reached("W_1") ? [...back("x", 0, "cancel"), ...back("x", 0, "no part")] : []),
  ];
}
