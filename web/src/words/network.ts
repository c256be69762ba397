/** What screen 6 says. */

import { say as sayPage } from "./page.ts";
import { speaker, type Phrases } from "./say.ts";

const phrases = {
  "choice own": ["Those into the {name}’s score", "通向“{name}”分数的那些"],
  "choice all": ["All of them: every score should rise", "全部：每个分数都该变大"],
  "choice others": ["Those into the other two scores", "通向另外两个分数的那些"],
  reason: [
    "The gradient of a weight into score zⱼ is hᵢ·(pⱼ − yⱼ). Only the {name} has p − y below 0, and a step goes against the gradient: the weights into its score grow, the others shrink. See how the number gets there.",
    "通向分数 zⱼ 的权重，梯度是 hᵢ·(pⱼ − yⱼ)。只有“{name}”的 p − y 小于 0，而每一步都逆着梯度走：通向它的权重变大，其余的变小。下面看这个数是怎么一步步传过去的。",
  ],
  loss: ["loss", "损失"],
  label: ["{name}: {value}, gradient {gradient}", "{name}：{value}，梯度 {gradient}"],
  summary: [
    "A network: 2 inputs, 3 hidden units, 3 scores, softmax, loss. The {name} is right: p = {p}, loss {loss}. All numbers are in the tables below.",
    "一个网络：2 个输入、3 个隐藏单元、3 个分数、softmax、损失。正确的是“{name}”：p = {p}，损失 {loss}。所有数字都在下面的表格里。",
  ],
  // Settings
  activation: ["Activation σ", "激活函数 σ"],
  relu: ["ReLU", "ReLU"],
  tanh: ["tanh", "tanh"],
  logistic: ["sigmoid", "sigmoid"],
  target: ["True class", "真实类别"],
  reset: ["Back to the worked example", "恢复到示例"],
  // Stages
  walk: ["Step through", "逐步查看"],
  back: ["Back", "后退"],
  on: ["Next step", "下一步"],
  play: ["Play", "播放"],
  pause: ["Pause", "暂停"],
  stage: ["Step {n} of {all}", "第 {n} 步，共 {all} 步"],
  "at x": ["Two numbers come in.", "输入两个数。"],
  "at h": [
    "Each hidden unit multiplies what comes in by its weights, adds it up with its bias, a = x·W₁ + b₁, and bends the sum: h = σ(a).",
    "每个隐藏单元把输入乘以权重，连同偏置加起来：a = x·W₁ + b₁，再弯一下：h = σ(a)。",
  ],
  "at z": ["Weights and biases once more: the scores, z = h·W₂ + b₂.", "再乘一遍权重、加上偏置，得到分数：z = h·W₂ + b₂。"],
  "at p": [
    "Softmax. Each score goes into every probability: nine lines.",
    "softmax：每个分数都影响每个概率，所以有九条线。",
  ],
  "at loss": [
    "The loss looks at one probability only, that of the {name}: −ln p. Now back again.",
    "损失只看一个概率，也就是“{name}”的：−ln p。现在往回走。",
  ],
  "at p − y": [
    "The loss depends on the {name}’s p alone, with slope −1/p. That p depends on all three scores, in two cases: its own score, p(1 − p), the solid line; the others, −p·pᵢ, dashed. Multiplied, p cancels, and p − y is left under each score.",
    "损失只取决于“{name}”的 p，斜率是 −1/p。而这个 p 取决于全部三个分数，分两种情形：自己的分数，p(1 − p)，实线；别的分数，−p·pᵢ，虚线。相乘时 p 约掉，每个分数下面只剩 p − y。",
  ],
  "at W_2": [
    "A weight of W₂ acts through the one score that it goes into, h times as strongly: its gradient is hᵢ·(pⱼ − yⱼ). So the solid case touches the weights into the {name}’s score, and the dashed case all others.",
    "W₂ 的每个权重只通过一个分数起作用，强度是 h 倍：梯度为 hᵢ·(pⱼ − yⱼ)。所以实线那种情形管的是通向“{name}”分数的权重，虚线那种情形管其余的。",
  ],
  "at by h": [
    "A hidden unit goes into all three scores. It hears from each: ∂loss/∂hᵢ = Σⱼ W₂[i,j]·(pⱼ − yⱼ).",
    "一个隐藏单元通向三个分数，三边的意见它都要听：∂loss/∂hᵢ = Σⱼ W₂[i,j]·(pⱼ − yⱼ)。",
  ],
  "at by a": [
    "Back through the bend: times its slope where the unit stands, σ′(a).",
    "穿过那道弯：乘以单元所在处的斜率 σ′(a)。",
  ],
  "at W_1": [
    "W₁ as W₂ before: what came in, times what came back, xᵢ·∂loss/∂aⱼ. More layers would only repeat this. That is back-propagation.",
    "W₁ 和刚才的 W₂ 一样：进来的数乘以传回来的数，xᵢ·∂loss/∂aⱼ。层数再多，也只是重复这一步。这就是反向传播。",
  ],
  "relu slope": ["For ReLU 1 where a > 0, and 0 where the unit is off.", "ReLU 的斜率：a > 0 处为 1，单元关闭处为 0。"],
  "tanh slope": ["For tanh 1 − h².", "tanh 的斜率是 1 − h²。"],
  "logistic slope": ["For the sigmoid h(1 − h).", "sigmoid 的斜率是 h(1 − h)。"],
  "key own": ["its own score: p(1 − p)", "自己的分数：p(1 − p)"],
  "key other": ["another score: −p·pᵢ", "别的分数：−p·pᵢ"],
  "key grows": ["gradient below 0: a step raises it", "梯度小于 0：走一步会变大"],
  "key shrinks": ["above 0: a step lowers it", "大于 0：走一步会变小"],
  // The chain of a parameter
  "chain heading": ["The chain of one weight", "一个权重的链"],
  choose: ["Weight or bias", "权重或偏置"],
  none: ["choose one, here or in the drawing", "在这里或图中选一个"],
  "change": ["Its value", "它的值"],
  factor: ["factor", "因子"],
  "by loss": ["loss = −ln p: its slope is −1/p", "损失 = −ln p，斜率是 −1/p"],
  "by own": ["softmax, the case of its own score: p(1 − p)", "softmax，自己分数的情形：p(1 − p)"],
  "by other": ["softmax, the case of another score: −p·pᵢ", "softmax，别的分数的情形：−p·pᵢ"],
  together: ["the two together: p − y", "两者相乘：p − y"],
  "by input": ["what the weight is multiplied by", "与这个权重相乘的数"],
  "by bias": ["a bias is added as it is", "偏置直接相加"],
  product: ["product", "乘积"],
  path: ["path through", "经过"],
  "sum of paths": ["sum of the three paths", "三条路径之和"],
  "says own": [
    "{weight} goes into the {name}’s own score, so it is the case p(1 − p): the gradient has the sign of p − 1, below 0, times what came in.",
    "{weight} 通向“{name}”自己的分数，属于 p(1 − p) 的情形：梯度等于 p − 1（小于 0）乘以进来的数。",
  ],
  "says other": [
    "{weight} goes into the score of the {other}, another than the true class, so it is the case −p·pᵢ: times −1/p that is the {other}’s p, above 0, times what came in.",
    "{weight} 通向“{other}”的分数，不是真实类别，属于 −p·pᵢ 的情形：乘以 −1/p 就是“{other}”的 p（大于 0），再乘以进来的数。",
  ],
  "says deep": [
    "{weight} moves one hidden unit, and that unit moves all three scores: three paths. Along a path the factors multiply; the paths add up.",
    "{weight} 牵动一个隐藏单元，这个单元又牵动三个分数，所以有三条路径。同一条路径上的因子相乘，各条路径再相加。",
  ],
  nudge: ["Check, moving it by ±0.00001: Δloss / Δ =", "检验，移动 ±0.00001：Δ损失 / Δ ="],
  // A step
  "step heading": ["Take a step", "走一步"],
  "step rule": [
    "Every weight and bias moves against its gradient: θ ← θ − η·∂loss/∂θ.",
    "每个权重和偏置都逆着自己的梯度移动：θ ← θ − η·∂loss/∂θ。",
  ],
  take: ["Take the step", "走这一步"],
  now: ["loss now", "现在的损失"],
  after: ["after the step", "走一步之后"],
  falls: ["it falls", "下降"],
  rises: ["it rises: the step is too long", "上升了：步子太大"],
  "same": ["it stays", "不变"],
  steps: ["steps", "步数"],
  losses: ["The loss after each step: {list}", "每一步之后的损失：{list}"],
  // Tables
  parameters: ["Weights and biases", "权重和偏置"],
  nodes: ["Nodes", "节点"],
  name: ["name", "名称"],
  value: ["value", "值"],
  gradient: ["∂loss/∂ of it", "损失对它的导数"],
  next: ["after a step", "走一步之后"],
} as const satisfies Phrases;

export const say = speaker(phrases);

const ANIMALS = ["cat", "dog", "bird"] as const;

/** The network has the three classes of the lesson, whatever scores other screens show. */
export const className = (j: number) => sayPage(ANIMALS[j]);
