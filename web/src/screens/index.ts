import type { Component } from "svelte";
import type { ScreenName } from "../hash.ts";
import Cases from "./Cases.svelte";
import Float32 from "./Float32.svelte";
import Formula from "./Formula.svelte";
import Gradient from "./Gradient.svelte";
import Loss from "./Loss.svelte";
import Network from "./Network.svelte";
import SoftMax from "./SoftMax.svelte";
import Train from "./Train.svelte";

export const screens: Record<ScreenName, Component> = {
  softmax: SoftMax,
  formula: Formula,
  loss: Loss,
  cases: Cases,
  gradient: Gradient,
  network: Network,
  train: Train,
  float32: Float32,
};
