/** The name of each screen, and the one question that it asks. */

import type { ScreenName } from "../hash.ts";
import { speaker, type Phrases } from "./say.ts";

const phrases = {
  softmax: ["Soft max", "软最大"],
  "softmax question": [
    "One score is the largest. Will the soft max always pick it?",
    "有一个分数最大。软最大每次都会选它吗？",
  ],
  formula: ["The formula", "公式"],
  "formula question": [
    "Add 100 to every score. What happens to the probabilities?",
    "给每个分数都加上 100，概率会怎样？",
  ],
  loss: ["The loss", "损失"],
  "loss question": [
    "The true class gets probability p. How should we punish a small p?",
    "真实类别的概率是 p。p 很小时，该怎样惩罚？",
  ],
  cases: ["Two cases", "两种情形"],
  "cases question": [
    "Nudge one score up. Which probabilities move?",
    "把一个分数稍微调高，哪些概率会变？",
  ],
  gradient: ["Why p − y", "为什么是 p − y"],
  "gradient question": [
    "Two cases, a logarithm, a chain rule: how much is left at the end?",
    "两种情形、对数、链式法则，最后还剩下什么？",
  ],
  network: ["Back through the layers", "逐层往回传"],
  "network question": [
    "The dog is right. Which of the weights into the scores should grow?",
    "正确答案是狗。通向分数的权重里，哪些该变大？",
  ],
  train: ["Train", "训练"],
  "train question": [
    "One blue point strays among the orange ones. Which way will the border move?",
    "一个蓝点混进了橙点里。继续训练，边界会往哪边移？",
  ],
  float32: ["Where float32 gives up", "float32 的尽头"],
  "float32 question": [
    "The scores are [0, 20] and the second class is right. Is the loss exactly 0?",
    "分数是 [0, 20]，真实类别是第二类。损失恰好是 0 吗？",
  ],
} as const satisfies Phrases & Record<ScreenName | `${ScreenName} question`, unknown>;

export const say = speaker(phrases);
