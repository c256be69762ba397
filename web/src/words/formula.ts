import { speaker, type Phrases } from "./say.ts";

const phrases = {
  "choice grow": ["They all grow.", "都变大。"],
  "choice nothing": ["Nothing at all.", "完全不变。"],
  "choice alike": ["They come closer together.", "彼此更接近。"],
  reason: [
    "In the numerator and the denominator every term gets the same factor e^100, and it cancels. Only the differences between scores count.",
    "分子、分母的每一项都多了同一个因子 e^100，正好约掉。起作用的只有分数之间的差。",
  ],
  how: [
    "Touch a score: its term lights up. e makes every score positive and puts the gaps between them in proportion; the sum below makes all shares add up to 1. (The tutorial writes v for z and a for p.)",
    "碰一下某个分数，式子里对应的项就会亮起来。以 e 为底取指数，每个分数都变成正数，分数之差变成倍数；除以总和，让各份加起来等于 1。（教程里 z 写作 v，p 写作 a。）",
  ],
  chart: [
    "The softmax formula for {name}: e to its score, divided by the sum of e to every score.",
    "{name}的 softmax 公式：e 的“该类分数”次方，除以所有类的 e 的“分数”次方之和。",
  ],
  add: ["Constant c, added to every score", "给每个分数加上常数 c"],
  before: ["p of z", "z 的 p"],
  after: ["p of z + c", "z + c 的 p"],
  table: ["Before and after the constant", "加常数之前与之后"],
  half: ["Then why subtract the largest score first?", "那为什么要先减去最大的分数？"],
  "half why": [
    "Because e^z outgrows the machine long before p does. In float16, the half precision of large models, numbers end at 65504: e^11 is already the last that fits. As a constant changes nothing, c = −max is free, and then no exponent is above 0.",
    "因为 p 从不超过 1，e^z 却早早超出了机器能表示的范围。大模型常用的半精度 float16 最大只到 65504，e^11 已是放得下的最后一个。既然加常数什么都不变，就取 c = −max：不花代价，指数再也不会大于 0。",
  ],
  shift: ["Subtract the largest score first (max shift)", "先减去最大的分数"],
  "half table": ["softmax of z + c in float16", "float16 里 z + c 的 softmax"],
  overflow: [
    "Overflow: the sum is ∞ and ∞ / ∞ is not a number. Turn the max shift on.",
    "溢出：总和是 ∞，而 ∞ / ∞ 不是数。请打开“先减去最大的分数”。",
  ],
  underflow: [
    "Every e^z is below the smallest float16 and became 0: 0 / 0 is not a number. Turn the max shift on.",
    "每个 e^z 都小于 float16 的最小值，成了 0：0 / 0 不是数。请打开“先减去最大的分数”。",
  ],
  partly: [
    "A term became ∞, so its share cannot be computed. Turn the max shift on.",
    "有一项成了 ∞，它的份额算不出来。请打开“先减去最大的分数”。",
  ],
  fits: ["All of it fits: p is right to float16's three digits.", "都放得下：p 精确到 float16 的三位有效数字。"],
} as const satisfies Phrases;

export const say = speaker(phrases);
