/** Networks against NumPy's and against finite differences; and what the plane of screen 7 is made of. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { boundaries, grid } from "../src/math/decision.ts";
import * as math from "../src/math/network.ts";
import { pack, unpack } from "../src/math/pack.ts";
import { PRESETS, packPoints, presetPoints, unpackPoints, type Preset } from "../src/math/points.ts";
import { batchOf, evaluate, meanGradient, start, trainStep, widened, type Point } from "../src/math/train.ts";
import vectors from "../vectors.json";

function assertClose(got: number[], expected: number[], within = 1e-12) {
  assert.equal(got.length, expected.length);
  got.forEach((value, k) => assert.ok(Math.abs(value - expected[k]) <= within * Math.max(1, Math.abs(expected[k])), `${k}: ${value}, not ${expected[k]}`));
}

const ACTIVATIONS = ["relu", "tanh", "logistic"] as const;
const LINEAR = math.withFlat(math.zeros([2, 3], "tanh"), [1, -0.5, 0.2, 0.3, 0.9, -1.1, 0.1, 0.2, -0.3])!;

for (const { units, activation, theta, X, target, eta, ...expected } of vectors.networks) {
  test(`${units.join(" → ")}, ${activation}`, () => {
    const network = math.withFlat(math.zeros(units, activation as math.Activation), theta)!;
    const points = X.map(([x, y], i) => ({ x, y, target: target[i] }));
    assertClose([evaluate(network, points).loss], [expected.loss]);
    assertClose(math.flat(meanGradient(network, points)), expected.gradient);
    let trained = network;
    for (let n = 0; n < expected.steps; n++) {
      trained = trainStep(trained, points, n, { learningRate: eta, batch: 0, seed: 0 });
      if (n === 0) assertClose(math.flat(trained), expected.next);
    }
    assertClose(math.flat(trained), expected.trained, 1e-11);
  });
}

for (const activation of ACTIVATIONS) {
  test(`chains and finite differences of ${activation}`, () => {
    const network = math.example(activation);
    for (const y of [0, 1, 2]) {
      const { grad } = math.lossAndGrad(network, math.X, y);
      const up = math.forward(network, math.X);
      assertClose(up.a[1], math.SCORES);
      for (const parameter of math.parametersOf(network)) {
        const slope = math.valueOf(grad, parameter);
        const paths = math.chain(network, up, grad, parameter).map(math.product);
        assertClose([paths.reduce((a, b) => a + b)], [slope]);
        assertClose([math.finiteDifference(network, math.X, y, parameter)], [slope], 1e-8);
      }
    }
  });
}

test("parameters are read and written", () => {
  const network = math.example("tanh");
  const theta = math.flat(network);
  assert.deepEqual(unpack(pack(theta)), theta);
  assert.deepEqual(math.flat(math.withFlat(network, theta.map((value) => value + 1))!), theta.map((value) => value + 1));
  math.parametersOf(network).forEach((parameter, at) => assert.equal(math.flat(math.withValue(network, parameter, 7.5)).indexOf(7.5), at));
  for (const wrong of [[], theta.slice(1), theta.map(() => NaN)]) assert.equal(math.withFlat(network, wrong), undefined);
  for (const wrong of ["A", "AAAA", "a b", "é"]) assert.equal(unpack(wrong), undefined);
});

test("points are read and written", () => {
  for (const preset of Object.keys(PRESETS) as Preset[]) {
    const points = presetPoints(preset, 3);
    assert.deepEqual(unpackPoints(packPoints(points)), points);
    assert.deepEqual([...new Set(points.map(({ target }) => target))], [0, 1, 2]);
  }
  for (const wrong of ["A", "AAAAA", "____", "!"]) assert.equal(unpackPoints(wrong), undefined);
});

test("an epoch goes over all points, each in an order of its own", () => {
  const points: Point[] = presetPoints("blobs", 1).slice(0, 50);
  const epoch = (first: number) => [0, 1, 2, 3, 4, 5, 6].flatMap((n) => batchOf(points, first + n, { learningRate: 1, batch: 8, seed: 4 }));
  for (const first of [0, 7]) assert.deepEqual(new Set(epoch(first)), new Set(points));
  assert.notDeepEqual(epoch(0), epoch(7));
  assert.deepEqual(epoch(7), epoch(7));
});

test("a new class changes no score of the others", () => {
  const network = start(4, 3, 1);
  assert.deepEqual(math.logits(widened(network, 5), [0.3, -1]), [...math.logits(network, [0.3, -1]), 0, 0]);
});

test("borders are where the two largest scores are equal", () => {
  const segments = boundaries(grid(LINEAR, 37));
  assert.ok(segments.length > 37);
  for (const [x0, y0, x1, y1] of segments) {
    for (const place of [[x0, y0], [x1, y1]]) {
      const [first, second] = math.logits(LINEAR, place).sort((a, b) => b - a);
      assertClose([second], [first], 1e-9);
    }
  }
});
