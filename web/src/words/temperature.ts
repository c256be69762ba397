import { speaker, type Phrases } from "./say.ts";

const phrases = {
  note: [
    "Here z = score / T with T = {T}, as set on screen 1.",
    "这里 z = 分数 / T，T = {T}（在第 1 屏设定）。",
  ],
  undo: ["Back to T = 1", "恢复 T = 1"],
} as const satisfies Phrases;

export const say = speaker(phrases);
