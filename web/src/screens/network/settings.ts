/** What screen 6 remembers, as the text of view.network and back; what a text says wrongly becomes the default. */

import { TARGET, X, example, flat, parametersOf, withFlat } from "../../math/network.ts";
import type { Activation, Network, Parameter } from "../../math/network.ts";
import { pack, unpack } from "../../math/pack.ts";

export interface Settings {
  network: Network;
  x: number[];
  target: number;
  learningRate: number;
  stage: number; // how far the numbers have come: an index of STAGES
  chosen: Parameter | undefined;
}

/** What is reached one after the other: up to the loss, then down again. */
export const STAGES = ["x", "h", "z", "p", "loss", "p − y", "W_2", "by h", "by a", "W_1"] as const;
export const LOSS = STAGES.indexOf("loss");
export const LAST = STAGES.length - 1;

/** The weight whose chain is shown until another is chosen: its gradient is not 0. */
export const EXAMPLE: Parameter = { layer: 1, from: 0, to: 2 };

/** When the gradient reaches the parameters of a layer. */
export const arrival = (layer: number) => STAGES.indexOf(layer === 0 ? "W_1" : "W_2");

const ACTIVATIONS: Activation[] = ["relu", "tanh", "logistic"];
export const LEARNING_RATES = { least: 0.01, most: 20 };

export function readSettings(text: string): Settings {
  const [activation, target, learningRate, stage, chosen, theta = ""] = text.split(",");
  const start = example(ACTIVATIONS.find((name) => name === activation) ?? "relu");
  return {
    network: withFlat(start, unpack(theta) ?? []) ?? start,
    x: X,
    target: within(target, 0, start.biases[1].length - 1) ?? TARGET,
    learningRate: within(learningRate, LEARNING_RATES.least, LEARNING_RATES.most) ?? 0.5,
    stage: within(stage, 0, LAST) ?? LOSS,
    chosen: parametersOf(start).find((parameter) => key(parameter) === chosen),
  };
}

export function writeSettings({ network, target, learningRate, stage, chosen }: Settings): string {
  const theta = flat(network);
  const changed = flat(example(network.activation)).some((value, i) => value !== theta[i]);
  const parts = [network.activation, target, learningRate, stage, chosen ? key(chosen) : "", changed ? pack(theta) : ""];
  return parts.join(",");
}

/** W2.0.1, or b2.1. */
export function key({ layer, from, to }: Parameter): string {
  return from === null ? `b${layer + 1}.${to}` : `W${layer + 1}.${from}.${to}`;
}

function within(text: string | undefined, least: number, most: number): number | undefined {
  const value = text ? Number(text) : NaN;
  const whole = Number.isInteger(least) && Number.isInteger(most);
  return value >= least && value <= most && (!whole || Number.isInteger(value)) ? value : undefined;
}
