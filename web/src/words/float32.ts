import { speaker, type Phrases } from "./say.ts";

const phrases = {
  "choice zero": ["Yes, exactly 0.", "是，恰好是 0。"],
  "choice tiny": ["No, tiny but not 0.", "不是，很小但不是 0。"],
  "choice large": ["No, about 20.", "不是，大约是 20。"],
  reason: [
    "It is 2.06e−9: the first class still has a little probability. float32, done the usual way, says 0, and the gradient p − 1 says 0 too: the model cannot learn from this row any more.",
    "是 2.06e−9：第一类还剩一点点概率。按通常的办法用 float32 计算，得到的是 0，梯度 p − 1 也是 0：模型从这一行再也学不到东西。",
  ],
  chart: [
    "The loss over the winner’s lead, on a logarithmic axis. The true loss and softxent’s fall in a straight line. The usual float32 loss runs along, in ever coarser steps, and is 0 from a lead of {gone} on. The marker: lead {lead}.",
    "损失随领先分数的变化，纵轴是对数。真实的损失和 softxent 的损失沿直线下降。通常的 float32 损失起初与它一致，台阶越来越粗，领先达到 {gone} 之后就是 0。标记处：领先 {lead}。",
  ],
  x: ["the winner’s lead", "领先的分数"],
  y: ["loss", "损失"],
  true: ["true", "真值"],
  usual: ["usual float32", "通常的 float32"],
  ours: ["softxent, also float32", "softxent，同样是 float32"],
  lead: ["Scores [0, lead]", "分数 [0, 领先]"],
  "lead is": ["The winner’s lead", "领先的分数"],
  steps: ["Step by step", "逐步计算"],
  step: ["step", "步骤"],
  term: ["e^(0 − lead)", "e^(0 − 领先)"],
  sum: ["the sum, or the others alone", "总和，或只算其余各类"],
  logarithm: ["its logarithm: the loss", "取对数：损失"],
  gradient: ["gradient at the true class", "真实类别处的梯度"],
  lost: [
    "The next float32 after 1 is 1.00000012. What is added here, {exp}, is {times} times less than that gap: 1 + {exp} is rounded to 1, and ln 1 is 0. The information is lost in the sum, before the logarithm.",
    "1 之后的下一个 float32 是 1.00000012。这里要加的 {exp} 比这个间隔还小 {times} 倍：1 + {exp} 被舍入为 1，而 ln 1 = 0。信息在求和时就丢了，还没轮到取对数。",
  ],
  coarse: [
    "The next float32 after 1 is 1.00000012. What is added here, {exp}, is {times} of those gaps, and is rounded to a whole number of them: {error} of the loss is rounding error.",
    "1 之后的下一个 float32 是 1.00000012。这里要加的 {exp} 相当于 {times} 个这样的间隔，被舍入成整数个：损失里有 {error} 是舍入误差。",
  ],
  remedy: [
    "softxent never adds the 1. It sums the others apart and takes log1p, the logarithm of 1 + x from x itself; and the gradient is −(the others) / Σ, never p − 1. The same 24 bits, and every digit is there. float64 only puts the end off, from a lead of 17 to one of 37.",
    "softxent 从不加上那个 1。它把其余各类单独求和，再用 log1p，直接由 x 算出 1 + x 的对数；梯度是 −（其余之和）/ Σ，而不是 p − 1。同样是 24 位，每一位都还在。换成 float64 只是把尽头往后推：领先从 17 推到 37。",
  ],
  yours: [
    "Your own numbers: `softxent explain 1 5 3 --target 1 --html out.html` writes this page with your scores, and in the report of `softxent train` each of the worst rows has a link that opens it here.",
    "换成你自己的数字：`softxent explain 1 5 3 --target 1 --html out.html` 会把你的分数写进这个页面；`softxent train` 的报告里，错得最厉害的那些样本都带链接，点开就到这里。",
  ],
} as const satisfies Phrases;

export const say = speaker(phrases);
