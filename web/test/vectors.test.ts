/** The page's mathematics against definition.py's, to 1e-12: vectors.json is made by vectors.py. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { decimals, truncated } from "../src/math/digits.ts";
import { toFloat16 } from "../src/math/float16.ts";
import { usual } from "../src/math/float32.ts";
import * as math from "../src/math/softmax.ts";
import vectors from "../vectors.json";

function assertClose(got: number | number[], expected: number | number[], what: string) {
  const pairs = [got].flat().map((value, k) => [value, [expected].flat()[k]]);
  assert.equal(pairs.length, [expected].flat().length, what);
  for (const [value, wanted] of pairs) {
    assert.ok(Math.abs(value - wanted) <= 1e-12 * Math.max(Math.abs(wanted), Number.MIN_VALUE), `${what}: ${value}, not ${wanted}`);
  }
}

for (const { scores, target, T, ...row } of vectors.rows) {
  test(`scores ${scores.slice(0, 5)}, target ${target}, T ${T}`, () => {
    const p = math.softmax(scores, T);
    assertClose(p, row.p, "p");
    assertClose(math.logsumexp(math.scaled(scores, T)), row.lse, "lse");
    assertClose(math.logSoftmax(scores, T), row.log_p, "log_p");
    assertClose(math.crossEntropy(scores, target, T), row.loss, "loss");
    assertClose(math.gradient(scores, target, T), row.gradient, "gradient");
    if (row.jacobian) assertClose(math.softmaxJacobian(p).flat(), row.jacobian.flat(), "jacobian");
    if (row.chain_rule) assertClose(math.chainRule(p, target), row.chain_rule, "chain rule");
  });
}

test("float16 rounds as NumPy does", () => {
  for (const [x, half] of vectors.float16) assert.equal(toFloat16(Number(x)), Number(half), String(x));
});

test("float32 steps are NumPy's", () => {
  for (const { lead, loss, gradient } of vectors.float32) {
    assert.equal(usual(lead).loss, loss, `loss at ${lead}`);
    assert.equal(usual(lead).gradient, gradient, `gradient at ${lead}`);
  }
});

test("digits", () => {
  assert.deepEqual([0.86681333, -2.0611536e-9, -Infinity, -0, 1234567].map((x) => decimals(x)), ["0.866813", "−2.06e−9", "−∞", "0.000000", "1.23e6"]);
  assert.deepEqual([0.86681333, -0.1331866, 1.9999e-9, 0, 0.9999, 12.3456].map((x) => truncated(x)), [0.866, -0.133, 0, 0, 0.999, 12.345]);
});
