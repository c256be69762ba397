/** What every screen says. */

import type { WrongScores } from "../scores.ts";
import { CLASSES } from "../scores.ts";
import { view } from "../state.svelte.ts";
import { speaker, type Phrases } from "./say.ts";

const phrases = {
  title: ["softxent: from scores to p − y", "softxent：从分数到 p − y"],
  screens: ["Screens", "各屏"],
  "screen of": ["{n} of {all}", "{n} / {all}"],
  language: ["Language", "语言"],
  previous: ["Previous", "上一屏"],
  next: ["Next", "下一屏"],
  predict: ["What do you think?", "你猜呢？"],
  skip: ["Just show me", "直接看答案"],
  right: ["Right.", "猜对了。"],
  wrong: ["Not quite.", "不太对。"],
  skipped: ["Here is the answer.", "答案如下。"],
  "your choice": ["your answer", "你的选择"],
  "right choice": ["right", "正确"],
  "as a table": ["As a table: {caption}", "用表格看：{caption}"],
  class: ["class", "类别"],
  "class of": ["class {i}", "类别 {i}"],
  cat: ["cat", "猫"],
  dog: ["dog", "狗"],
  bird: ["bird", "鸟"],
  scores: ["Scores", "分数"],
  "scores hint": [
    "Type or paste up to {most} numbers, one a class.",
    "输入或粘贴数字，每类一个，最多 {most} 个。",
  ],
  "scores empty": [
    "scores is empty: a number is expected for each class.",
    "分数是空的：每类应有一个数。",
  ],
  "scores many": [
    "scores has {got} numbers, but must have 1 … {most}.",
    "共有 {got} 个数，应为 1 … {most} 个。",
  ],
  "scores number": [
    "scores[{index}] is “{got}”, but must be a number.",
    "scores[{index}] 是“{got}”，应为数字。",
  ],
  "scores infinite": [
    "scores[{index}] is “{got}”, but must be finite.",
    "scores[{index}] 是“{got}”，应为有限的数。",
  ],
  target: ["True class", "真实类别"],
  "learning rate": ["Learning rate η", "学习率 η"],
  temperature: ["Temperature T", "温度 T"],
  reset: ["Start again with [1, 5, 3]", "恢复为 [1, 5, 3]"],
} as const satisfies Phrases;

export const say = speaker(phrases);

export const sayWrong = ({ wrong, index, got }: WrongScores) =>
  say(`scores ${wrong}`, { index, got: got.length > 20 ? `${got.slice(0, 20)}…` : got, most: CLASSES });

const ANIMALS = ["cat", "dog", "bird"] as const;

/** Names the classes: as the view was given them, or three animals, or by number. */
export function className(i: number): string {
  if (view.labels.length > 0) return view.labels[i];
  return view.scores.length === ANIMALS.length ? say(ANIMALS[i]) : say("class of", { i });
}
