"""The phrases of `diagnose`, in English and Chinese: its findings, and its errors."""

from softxent import words

PHRASES = {
    "finding": ("{part}: {what}", "{part}：{what}"),
    "part loss": ("loss", "损失"),
    "part grad": ("gradient", "梯度"),
    "part loss and grad": ("loss and gradient", "损失和梯度"),
    "part logits": ("logits", "logits"),
    "ratio": ("{ratio} × the right one", "是正确值的 {ratio} 倍"),
    "place": ("{name} is {got}, but should be {expected}", "{name} 是 {got}，应为 {expected}"),
    "first": ("first: {place}", "第一处：{place}"),
    "furthest": ("furthest off: {place}", "相差最大：{place}"),
    "fix": ("fix: {code}", "修正：{code}"),
    "correct": ("correct to {ulp} ULP ({dtype})", "正确，误差不超过 {ulp} ULP（{dtype}）"),
    "either": ("either", "要么"),
    "or": ("or", "要么"),
    "cannot tell": ("These numbers cannot tell which.", "单凭这些数分不出是哪一种。"),
    # of scale -------------------------------------------------------------------------------------------------------
    "finding summed": ("summed, not averaged: off by N = {used}", "求了和，没有取平均：差 N = {used} 倍"),
    "finding averaged": ("averaged, not summed: off by N = {divisor}", "取了平均，没有求和：差 N = {divisor} 倍"),
    "finding averaged_twice": ("averaged twice: divided by N = {used} once more", "平均了两次：又除了一次 N = {used}"),
    "finding divided_by_classes": (
        "divided by the number of classes, V = {classes}: a mean over rows and classes",
        "多除了类别数 V = {classes}：对行和类别一起取了平均",
    ),
    "finding wrong_sign": ("the sign is wrong", "符号反了"),
    "finding in_bits": ("in bits, not nats: log2 where ln is meant", "单位是比特而不是奈特：该用 ln 的地方用了 log2"),
    "finding not_reduced": (
        "one number a row, but reduction={reduction} is one number in all",
        "每行一个数，而 reduction={reduction} 应只有一个数",
    ),
    "finding ignored_rows_in_divisor": (
        "ignored rows are in the divisor: {rows} rows, of which {counted} count",
        "除数里算进了被忽略的行：共 {rows} 行，只有 {counted} 行计数",
    ),
    "finding weights_divided_by_rows": (
        "class weights: divided by {counted} rows, not by the sum of their weights, {divisor}",
        "类别权重：除以了行数 {counted}，应除以各行权重之和 {divisor}",
    ),
    "finding normalizer_not_applied": (
        "divided by {divisor}, not by the declared normalizer, {used}",
        "除以了 {divisor}，而不是声明的 normalizer = {used}",
    ),
    "finding temperature_not_in_gradient": (
        "the temperature's 1/T is missing: ∂loss/∂x = ∂loss/∂z / {temperature}",
        "漏了温度的 1/T：∂loss/∂x = ∂loss/∂z / {temperature}",
    ),
    "finding gradient_of_another_reduction": (
        "of another reduction than the loss, which is reduction={reduction}",
        "与损失的归约方式不一致：损失是 reduction={reduction}",
    ),
    "finding factor": (
        "right but for a factor, {factor}, that is none of N, V, −1",
        "只差一个倍数 {factor}，但不是 N、V 或 −1",
    ),
    "finding class_weight": (
        "class weights unlike the declared: class {high} weighs {times} × class {low}",
        "类别权重与声明的不同：类别 {high} 的权重是类别 {low} 的 {times} 倍",
    ),
    "finding row_weights": (
        "each row has a factor of its own: row {high} weighs {times} × row {low}",
        "每行各乘了一个倍数：第 {high} 行的权重是第 {low} 行的 {times} 倍",
    ),
    # of the computation -----------------------------------------------------------------------------------------------
    "finding target_forgotten": ("y is forgotten: it is p, not p − y", "忘了减 y：给出的是 p，而不是 p − y"),
    "finding softmax_twice": (
        "softmax is applied twice: the loss cannot fall below log(1 + (V − 1)/e) = {floor}",
        "用了两次 softmax：损失再也降不到 log(1 + (V − 1)/e) = {floor} 以下",
    ),
    "finding log_forgotten": (
        "the logarithm is forgotten: it is that of −p_y, not −ln p_y",
        "忘了取对数：用的是 −p_y，而不是 −ln p_y",
    ),
    "finding softmax_forgotten": (
        "softmax is forgotten: it is that of −z_y, not −ln p_y",
        "忘了 softmax：用的是 −z_y，而不是 −ln p_y",
    ),
    "finding wrong_axis": (
        "softmax over axis {axis}, but the classes are on axis {declared}",
        "softmax 沿第 {axis} 轴计算，而类别在第 {declared} 轴",
    ),
    "finding softmax_over_all": (
        "one softmax over all rows together: p sums to 1 in all, not in each row",
        "所有行合在一起做了一次 softmax：总和为 1，而不是每行为 1",
    ),
    "finding labels_off_by_one": (
        "labels are off by one: {used} was computed with",
        "标签差了一：实际用的是 {used}",
    ),
    "finding label_smoothing": (
        "label smoothing ε = {found} fits, but {label_smoothing} was declared",
        "标签平滑：与 ε = {found} 相符，而声明的是 {label_smoothing}",
    ),
    "finding label_smoothing_over_others": (
        "label smoothing: ε is shared among the other classes only, not all {classes}",
        "标签平滑：ε 只分给了其他类别，应分给全部 {classes} 个类别",
    ),
    "finding weights_not_applied": ("the declared class weights are not applied", "没有用上声明的类别权重"),
    "finding temperature_not_applied": (
        "the declared temperature, {temperature}, is not applied",
        "没有用上声明的温度 {temperature}",
    ),
    "finding softcap_not_applied": (
        "the declared softcap, {softcap}, is not applied",
        "没有用上声明的 softcap = {softcap}",
    ),
    "finding z_loss_not_applied": (
        "the declared z-loss, {z_loss}·lse², is not added",
        "没有加上声明的 z-loss，{z_loss}·lse²",
    ),
    "finding ignored_rows_counted": (
        "{ignored} rows with ignore_index = {ignore_index} are counted as if they were not ignored",
        "ignore_index = {ignore_index} 的 {ignored} 行没有被忽略",
    ),
    "finding taken_as_probabilities": (
        "right if the logits are probabilities, which they look like: their rows sum to 1",
        "如果 logits 其实是概率，结果就是对的，而它们看起来正是：每行之和为 1",
    ),
    # of numbers that are none -----------------------------------------------------------------------------------------
    "finding overflow_without_max_shift": (
        "inf or NaN: exp overflows in {precision} where the largest logit is not subtracted first",
        "出现 inf 或 NaN：没有先减去最大的 logit，exp 在 {precision} 中溢出了",
    ),
    "finding log_of_zero": (
        "inf or NaN: p rounds to 0 in {precision}, and log 0 is −inf",
        "出现 inf 或 NaN：p 在 {precision} 中舍入成 0，而 log 0 = −inf",
    ),
    "finding zero_times_inf": (
        "NaN: 0 · log 0, where a class without a share in the target has p = 0",
        "出现 NaN：某个类别 p = 0，在目标中又不占份额，却算了 0 · log 0",
    ),
    "finding sum_overflows": (
        "inf or NaN: a sum is beyond the largest number of {precision} before it is divided",
        "出现 inf 或 NaN：求和还没相除，就超出了 {precision} 的范围",
    ),
    "finding not_finite": ("inf or NaN where the true number is finite", "出现 inf 或 NaN，而正确值是有限的"),
    # of numerical derivatives -----------------------------------------------------------------------------------------
    "finding finite_difference_step_too_large": (
        "a finite difference whose step is too large: h ≈ {h}, where {best} is best",
        "有限差分的步长太大：h ≈ {h}，最好取 {best}",
    ),
    "finding finite_difference_step_too_small": (
        "a finite difference whose step is too small: h ≈ {h}, where {best} is best",
        "有限差分的步长太小：h ≈ {h}，最好取 {best}",
    ),
    "finding finite_difference": (
        "a finite difference with a good step, h ≈ {h}; its own error is what is left",
        "这是步长合适的有限差分，h ≈ {h}；剩下的误差是它本身的",
    ),
    # of the logits, and hints -----------------------------------------------------------------------------------------
    "finding probabilities_as_logits": (
        "these are probabilities; as logits, their loss cannot fall below {floor}",
        "这些是概率；当作 logits 用，损失再也降不到 {floor} 以下",
    ),
    "finding log_probabilities_as_logits": (
        "these are log-probabilities, which is no mistake: softmax gives the same p for them",
        "这些是对数概率，但这不算错：softmax 得到的 p 不变",
    ),
    "finding digits_lost": (
        "fewer than two digits are right where the terms cancel, as {precision} rounds them",
        "在相消的地方，{precision} 的舍入使有效数字不足两位",
    ),
    "finding unexplained": (
        "wrong in {wrong} of {count}, and no mistake that is known here explains it",
        "{count} 个数中有 {wrong} 个不对，这里已知的错误都解释不了",
    ),
    # Mistakes ---------------------------------------------------------------------------------------------------------
    "nothing to check": (
        "loss and grad are missing, but one of them must be given: what your own code computed",
        "没有给出 loss 和 grad，至少要给一个：你自己的代码算出的结果",
    ),
    "no rows to check": (
        "logits has shape {got}, but must have at least 1 row",
        "logits 的形状是 {got}，至少应有 1 行",
    ),
    "part numbers": ("{name} is {got}, but must be real numbers", "{name} 是 {got}，应为实数"),
    "loss shape": (
        "loss has shape {got}, but must be a single number, or one a row, of shape {rows}",
        "loss 的形状是 {got}，应为一个数，或每行一个数，形状为 {rows}",
    ),
    "grad shape": (
        "grad has shape {got}, but logits has shape {logits}",
        "grad 的形状是 {got}，而 logits 的形状是 {logits}",
    ),
    "returned": (
        "the function returned {got} values, but must return the loss, or the loss and the gradient",
        "函数返回了 {got} 个值，应返回损失，或损失和梯度",
    ),
}

words.PHRASES.update(PHRASES)
