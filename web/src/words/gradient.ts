import { speaker, type Phrases } from "./say.ts";

const phrases = {
  "choice fraction": ["A long fraction of exponentials.", "一长串指数的分式。"],
  "choice difference": ["One subtraction.", "一个减法。"],
  "choice log": ["Something with ln p in it.", "含有 ln p 的式子。"],
  reason: [
    "One subtraction, p − y: what the model said, less what is true. The logarithm’s 1/p_y meets the p_y of both cases, and everything else cancels.",
    "一个减法：p − y，模型给出的减去真实的。对数带来的 1/p_y 遇上两种情形里的 p_y，其余的全都约掉了。",
  ],
  derivation: ["The algebra, line by line", "一行一行地推导"],
  "line 0": ["How does the loss change when score z_i does?", "分数 z_i 变化时，损失怎么变？"],
  "line 1": [
    "The chain rule: first the logarithm, then softmax. Only p_y is in the loss, so only row y of the grid on screen 4 is needed.",
    "链式法则：先对对数求导，再对 softmax 求导。损失里只有 p_y，所以只要第 4 屏表格的第 y 行。",
  ],
  "line 2": ["Put in the two cases.", "代入两种情形。"],
  "line 3": ["p_y cancels in both.", "两边的 p_y 都约掉。"],
  "line 4": ["What is left, written alike.", "把剩下的写成同样的形式。"],
  "line 5": ["Let y be 1 for the true class and 0 for the others: one formula for both.", "令 y 在真实类别处为 1，其余为 0：两种情形合成一个式子。"],
  same: ["i = y", "i = y"],
  other: ["i ≠ y", "i ≠ y"],
  "next line": ["Next line", "下一行"],
  "first line": ["From the top", "从头再来"],
  bars: ["What p − y tells each score", "p − y 对每个分数说什么"],
  chart: [
    "A bar for each class: p − y. Only the true class, {name}, is negative: {value}. All bars add up to 0.",
    "每类一根条：p − y。只有真实类别{name}是负的：{value}。所有的条加起来是 0。",
  ],
  raise: ["raise", "调高"],
  lower: ["lower", "调低"],
  leave: ["leave", "不动"],
  "bars note": [
    "Descent moves each score against its bar: the true class up by 1 − p, each other down by its own p. The more sure and wrong, the harder the push; nothing is pushed once p = y.",
    "下降时，每个分数朝自己那根条的反方向移动：真实类别上调 1 − p，其余各类下调自己的 p。错得越自信，推得越狠；p = y 时就不再推。",
  ],
  example: ["The numbers, exact and as the tutorial has them", "精确的数字，与教程里的数字"],
  digits: ["Digits", "小数"],
  exact: ["exact", "精确"],
  truncated: ["cut off after three, as in the tutorial", "截断到三位（教程的写法）"],
  sum: ["sum", "和"],
  "exact note": [
    "Exact: p adds up to 1 and p − y to 0, whatever the scores.",
    "精确计算：无论分数是多少，p 加起来是 1，p − y 加起来是 0。",
  ],
  "truncated note": [
    "The tutorial writes 0.015, 0.866, 0.117 for [1, 5, 3]: digits cut off, not rounded. Each p loses up to 0.001, so p no longer adds up to 1, and 0.866 − 1 = −0.134 instead of −0.133187. Nothing is wrong with the method; the digits that were cut are the whole difference.",
    "教程对 [1, 5, 3] 写的是 0.015、0.866、0.117：是截断，不是四舍五入。每个 p 最多少了 0.001，所以 p 加起来不再是 1，0.866 − 1 = −0.134，而不是 −0.133187。方法没有错，差别全在被截掉的那几位。",
  ],
  step: [
    "One step of size 1, from z to z − (p − y), and the loss goes",
    "走一步（步长为 1），从 z 到 z − (p − y)，损失的变化是",
  ],
} as const satisfies Phrases;

export const say = speaker(phrases);
