/** The hash: what is written is read again, and nonsense becomes the default. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { defaults, readView, writeHash, type View } from "../src/hash.ts";
import { readScores } from "../src/scores.ts";

const changed: View = {
  ...defaults("zh"),
  screen: 4, scores: [1.5, -2e-7, 1e300, 0], labels: ["a&b", "猫=狗", "😀", "#%"], target: 3, T: 0.5, shown: [1, 4], add: -7, shift: false,
  cell: [0, 2], nudge: -0.5, step: 3, truncated: true, lead: 16.6, network: "x:1;y", train: "1,2&3",
};

test("what is written is read again", () => {
  for (const view of [defaults("en"), defaults("zh"), changed]) assert.deepEqual(readView(`#${writeHash(view)}`, ["en"]), view);
});

test("nonsense becomes the default", () => {
  const nonsense = [
    "", "#", "#%", "#%E0%A4%A", "#v=2&screen=4&scores=1,2", "#v=1&screen=9", "#v=1&screen=-1&T=NaN", "#v=1&T=1e9&target=17", "#v=1&scores=1,x",
    `#v=1&scores=${"1,".repeat(51)}`, "#v=1&cell=1&nudge=&add=Infinity&step=7&lead=-1", "#v=1&label=a&label=b&shown=9x0", "#lang=fr",
  ];
  for (const hash of nonsense) assert.deepEqual(readView(hash, ["en-GB"]), defaults("en"), hash);
});

test("the language is the hash's, or else the browser's", () => {
  assert.equal(readView("#v=1&lang=en", ["zh-CN"]).lang, "en");
  assert.equal(readView("#v=2&lang=en", ["zh-CN"]).lang, "en");
  assert.equal(readView("", ["zh-TW", "en"]).lang, "zh");
  assert.equal(readView("", ["fr", "zh"]).lang, "en");
  assert.equal(readView("", []).lang, "en");
});

test("pasted lists", () => {
  for (const text of ["1, 5, 3", "[1 5 3]", "1\n5\n3\n", "1，5、3", "(1;5;3)", "1\t5\t3", "array([1., 5., 3.])".slice(5)]) {
    assert.deepEqual(readScores(text), { scores: [1, 5, 3] }, text);
  }
  assert.deepEqual(readScores("−1.5 1e-3"), { scores: [-1.5, 0.001] });
  assert.deepEqual(readScores("1, two, 3"), { wrong: "number", index: 1, got: "two" });
  assert.deepEqual(readScores("1 nan"), { wrong: "number", index: 1, got: "nan" });
  assert.deepEqual(readScores("1, 2, -inf"), { wrong: "infinite", index: 2, got: "-inf" });
  assert.deepEqual(readScores("1e999"), { wrong: "infinite", index: 0, got: "1e999" });
  assert.deepEqual(readScores(" ,, "), { wrong: "empty", index: 0, got: "" });
  assert.deepEqual(readScores("0 ".repeat(51)), { wrong: "many", index: 50, got: "51" });
});
