import { speaker, type Phrases } from "./say.ts";

const phrases = {
  "choice linear": ["A: evenly, 1 − p", "A：匀速地罚，1 − p"],
  "choice log": ["B: without limit, −ln p", "B：没有上限，−ln p"],
  "choice step": ["C: all or nothing", "C：要么全罚，要么不罚"],
  reason: [
    "−ln p. Whoever gave the truth p = 1 pays nothing; at p = ½ it is 0.69; and each halving of p costs another 0.69, without limit. So being sure and wrong is what costs most.",
    "是 −ln p。给真实类别的 p = 1，就不用付出代价；p = ½ 时付 0.69；p 每减半一次，再多付 0.69，没有上限。所以，错得越自信，代价越大。",
  ],
  chart: [
    "The curve −ln p falls from infinity at p = 0 to 0 at p = 1. The marker stands at p = {p}, loss {loss}.",
    "曲线 −ln p 从 p = 0 处的无穷大降到 p = 1 处的 0。标记在 p = {p}，损失 {loss}。",
  ],
  "chart guess": [
    "Three ways to punish a small p: A is the straight line 1 − p, B the curve −ln p, C is 1 below one half and 0 above.",
    "惩罚小 p 的三种办法：A 是直线 1 − p；B 是曲线 −ln p；C 在二分之一以下为 1，以上为 0。",
  ],
  p: ["p of the true class", "真实类别的 p"],
  loss: ["loss", "损失"],
  "why log": [
    "Why a logarithm? The chance that a model gives to a whole set of right answers is the product of the p’s. Its logarithm is a sum, one term an example, and the sum is what we can average and pull down.",
    "为什么取对数？模型给整组正确答案的概率，是各个 p 的乘积；取对数之后，乘积变成了和，每个样本一项，便于取平均，也便于一步步降下来。",
  ],
  table: ["The loss of each class, if it were the true one", "假如某类才是真实类别，损失各是多少"],
  "if true": ["loss if true", "若它为真实类别，损失为"],
} as const satisfies Phrases;

export const say = speaker(phrases);
