"""softxent.transformers: the loss and gradients of the model itself, without its logits.

All models are tiny, made from configs with random numbers; nothing is downloaded.
"""

import copy
import doctest
import os
import subprocess
import sys
from functools import wraps
from types import MethodType

os.environ["HF_HUB_OFFLINE"] = "1"

import peft
import pytest
import torch
from torch.nn.parallel import DistributedDataParallel
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaModel,
    MixtralConfig,
    MixtralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Trainer,
    TrainingArguments,
)

from pages import ROOT
from softxent.transformers import use

# peft, and a test here, call what transformers 5 has under another name too
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")

V = 131
SIZES = {
    "vocab_size": V,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
GPT2 = {"vocab_size": V, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
MODELS = {
    "Llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
    "Llama, tied": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=True)),
    "Qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES)),
    "Gemma2, softcap": lambda: Gemma2ForCausalLM(Gemma2Config(**SIZES, head_dim=8, final_logit_softcapping=5.0)),
    "GPT-2, tied, dropout": lambda: GPT2LMHeadModel(GPT2Config(**GPT2)),
    "Cohere, times logit_scale": lambda: CohereForCausalLM(CohereConfig(**SIZES)),
    "Granite, over logits_scaling": lambda: GraniteForCausalLM(GraniteConfig(**SIZES, logits_scaling=8.0)),
    "Mixtral, auxiliary loss": lambda: MixtralForCausalLM(
        MixtralConfig(**SIZES, num_local_experts=4, output_router_logits=True, router_aux_loss_coef=0.5)
    ),
}
every_model = pytest.mark.parametrize("name", MODELS)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Two wait for each other far longer than so little takes, where a machine is shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def model_of(name="Llama", loud=True):
    torch.manual_seed(0)
    model = MODELS[name]().train()
    if loud:  # logits of fresh weights are so small that no softcap would show
        with torch.no_grad():
            model.get_output_embeddings().weight.mul_(20)
    return model


def batch(rows=3, length=12, seed=1):
    ids = torch.randint(V, (rows, length), generator=torch.Generator().manual_seed(seed))
    labels = ids.clone()
    labels[0, : length // 2] = -100
    return {"input_ids": ids, "labels": labels}


def step(model, **inputs):
    """Outputs and gradients, with the same dropout each time."""
    torch.manual_seed(2)
    model.zero_grad()
    outputs = model(**inputs)
    outputs.loss.backward()
    return outputs, {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def close(ours, theirs, tolerance=2e-5):
    """As near as the roundings of either let them be, in units of the largest element."""
    torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance * max(theirs.abs().max().item(), 1e-6))


def head_shapes(model):
    shapes = []
    model.get_output_embeddings().register_forward_hook(lambda _, __, output: shapes.append(tuple(output.shape)))
    return shapes


# The same, without the logits -----------------------------------------------------------------------------------------


@every_model
@pytest.mark.parametrize("items", [{}, {"num_items_in_batch": torch.tensor(57)}], ids=["mean", "items"])
def test_loss_and_gradients_are_the_models_own(name, items):
    model, inputs = model_of(name), batch()
    theirs, their_grads = step(model, **inputs, **items, output_hidden_states=True)
    use(model)
    ours, our_grads = step(model, **inputs, **items, output_hidden_states=True)
    close(ours.loss, theirs.loss)
    assert ours.loss.dtype == theirs.loss.dtype
    assert our_grads.keys() == their_grads.keys()
    for parameter, grad in their_grads.items():
        close(our_grads[parameter], grad)
    assert ours.logits is None
    assert type(ours) is type(theirs)
    assert ours.keys() == theirs.keys() - {"logits"}
    assert all(torch.equal(a, b) for a, b in zip(ours.hidden_states, theirs.hidden_states, strict=True))


@every_model
def test_training_makes_no_logits(name):
    model = model_of(name)
    use(model)
    shapes = head_shapes(model)
    step(model, **batch())
    assert shapes == [(3, 12, 0)]


@every_model
def test_evaluation_and_generation_are_the_models_own(name):
    model, inputs = model_of(name), batch()
    ids = inputs["input_ids"][:1, :4]
    how = {"max_new_tokens": 3, "do_sample": False, "pad_token_id": 0}

    def found():
        model.eval()
        evaluated = model(**inputs)
        generated = model.generate(ids, **how)
        model.train()
        torch.manual_seed(3)
        return evaluated.loss, evaluated.logits, generated, model(inputs["input_ids"]).logits

    theirs = found()
    use(model)
    assert all(map(torch.equal, found(), theirs))


def test_what_the_model_is_called_with():
    model, inputs = model_of(), batch()
    expected = step(model, **inputs)[0].loss
    use(model)
    ids, labels = inputs.values()
    close(model(ids, labels=labels).loss, expected)
    close(model(ids, None, None, None, None, labels).loss, expected)
    loss, logits, *rest = model(ids, labels=labels, return_dict=False)
    close(loss, expected)
    assert logits is None
    assert len(rest) == len(model.eval()(ids, labels=labels, return_dict=False)) - 2


def test_labels_that_are_shifted_already():
    model, (ids, labels) = model_of(), batch().values()
    shifted = torch.roll(labels, -2, 1)
    expected = model(ids, labels=labels, shift_labels=shifted).loss
    use(model)
    close(model(ids, labels=labels, shift_labels=shifted).loss, expected)


@pytest.mark.parametrize("items", [None, 0, 7])
def test_a_batch_without_labels_counts_nothing_and_stays_in_the_graph(items):
    model, inputs = model_of(), batch()
    use(model)
    outputs, grads = step(model, **{**inputs, "labels": torch.full((3, 12), -100)}, num_items_in_batch=items)
    assert outputs.loss == 0
    assert grads.keys() == dict(model.named_parameters()).keys()
    assert not any(grad.any() for grad in grads.values())


@pytest.mark.parametrize("name", ["Llama", "Gemma2, softcap"])
def test_bfloat16(name):
    model, inputs = model_of(name), batch()
    exact, _ = step(model, **inputs)
    model = model.bfloat16()
    theirs, _ = step(model, **inputs)
    use(model)
    ours, grads = step(model, **inputs)
    assert ours.loss.dtype == theirs.loss.dtype == torch.float32
    assert {grad.dtype for grad in grads.values()} == {torch.bfloat16}
    close(ours.loss, exact.loss, 2e-2)


def test_autocast():
    model, inputs = model_of(), batch()
    with torch.autocast("cpu", torch.bfloat16):
        theirs, _ = step(model, **inputs)
        use(model)
        ours, grads = step(model, **inputs)
    close(ours.loss, theirs.loss.float(), 2e-2)
    assert {grad.dtype for grad in grads.values()} == {torch.float32}


def test_gradient_checkpointing():
    model, inputs = model_of(), batch()
    _, theirs = step(model, **inputs)
    model.gradient_checkpointing_enable()
    use(model)
    _, ours = step(model, **inputs)
    for name, grad in theirs.items():
        close(ours[name], grad)


def test_in_one_graph():
    model, inputs = model_of(), batch()
    expected, _ = step(model, **inputs)
    use(model)
    compiled = torch.compile(model, backend="eager")
    outputs = compiled(**inputs)
    close(outputs.loss, expected.loss)
    assert outputs.logits is None


def test_a_copy_has_weights_of_its_own():
    model, inputs = model_of(), batch()
    use(model)
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.lm_head.weight.mul_(2)
    outputs = other(**inputs)
    assert outputs.logits is None
    close(outputs.loss, LlamaForCausalLM.forward(other, **inputs).loss)


# Installed and undone -------------------------------------------------------------------------------------------------


def state(model):
    hooks = [len(module._forward_pre_hooks) + len(module._forward_hooks) for module in model.modules()]
    return (
        [{**vars(module)} for module in model.modules()],
        [module.training for module in model.modules()],
        {name: (p.detach().clone(), p.grad, p._version) for name, p in model.named_parameters()},
        hooks,
        torch.get_rng_state(),
    )


def assert_same(before, after):
    torch.testing.assert_close(after[4], before[4], rtol=0, atol=0)
    assert [vars_.keys() for vars_ in after[0]] == [vars_.keys() for vars_ in before[0]]
    assert after[1] == before[1]
    assert after[3] == before[3]
    for name, (value, grad, version) in before[2].items():
        assert torch.equal(after[2][name][0], value)
        assert after[2][name][1:] == (grad, version)


@every_model
@pytest.mark.parametrize("training", [True, False])
def test_installation_changes_nothing_else_and_undo_nothing_at_all(name, training):
    model = model_of(name).train(training)
    next(model.children()).train(not training)  # modes that are mixed stay so
    model(**batch())  # some models keep more about themselves from their first call on
    before, plain = state(model), model.forward
    handle = use(model)
    assert model.__dict__.pop("forward") != plain
    assert_same(before, state(model))
    handle.undo()
    assert model.forward == plain
    assert_same(before, state(model))


def test_undo():
    model, inputs = model_of(), batch()
    expected = model(**inputs)
    handle = use(model)
    assert model(**inputs).logits is None
    for _ in range(2):
        handle.undo()
        assert torch.equal(model(**inputs).logits, expected.logits)
    handle = use(model)
    assert model(**inputs).logits is None
    handle.undo()


def test_undo_under_another_wrapper():
    model, inputs = model_of(), batch()
    handle = use(model)
    ours = model.forward
    model.forward = wraps(ours)(lambda **inputs: ours(**inputs))
    with pytest.raises(ValueError, match="in use already"):
        use(model)
    handle.undo()
    assert model(**inputs).logits is not None
    use(model)
    assert model(**inputs).logits is None


def test_a_model_that_fails_is_as_it_was():
    model, inputs = model_of(), batch()
    use(model)
    keys = vars(model).keys() | vars(model.lm_head).keys()
    with pytest.raises(IndexError):
        model(input_ids=inputs["input_ids"] + V, labels=inputs["labels"])
    assert vars(model).keys() | vars(model.lm_head).keys() == keys
    assert model(inputs["input_ids"]).logits.shape == (3, 12, V)


# Refused --------------------------------------------------------------------------------------------------------------


class Scaled(LlamaForCausalLM):
    """Its logits are multiplied with a number that no config has."""

    def __init__(self, config):
        super().__init__(config)
        self.lm_head.register_forward_hook(lambda _, __, output: 1.7 * output)


class Penalised(LlamaForCausalLM):
    """Its loss is another one."""

    def __init__(self, config):
        super().__init__(config)
        own = self.loss_function
        self.loss_function = lambda logits, *a, **k: own(logits, *a, **k) + 0.1 * logits.logsumexp(-1).mean()


class Masked(LlamaForCausalLM):
    """Some of its classes can not be."""

    def __init__(self, config):
        super().__init__(config)
        self.lm_head.register_forward_hook(lambda _, __, output: output.index_fill(-1, torch.tensor([3]), -1e9))


class Alone(LlamaForCausalLM):
    """It computes its loss by itself."""

    def forward(self, input_ids, labels=None, **rest):
        outputs = super().forward(input_ids, **rest)
        if labels is not None:
            logits = outputs.logits[:, :-1].flatten(0, 1)
            outputs.loss = torch.nn.functional.cross_entropy(logits[:, :V], labels[:, 1:].flatten())
        return outputs


class ValueHead(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.pretrained_model = model_of()


def lora(*modules, model=None, **more):
    model = model_of() if model is None else model
    return peft.get_peft_model(model, peft.LoraConfig(target_modules=list(modules), r=4, **more))


def with_head(head):
    model = model_of()
    model.lm_head = head
    return model


def quantised():
    weight = torch.nn.Parameter(torch.zeros(V, 32, dtype=torch.int8), requires_grad=False)
    model = model_of()
    model.lm_head.weight = weight
    return model


def in_use():
    model = model_of()
    use(model)
    return model


WRONG = {
    "no model": (lambda: 3, "model is int, but must be a transformers.PreTrainedModel or a peft model of one"),
    "wrapped": (
        lambda: torch.nn.DataParallel(model_of()),
        "model is torch.DataParallel, but must be a transformers.PreTrainedModel or a peft model of one; "
        "pass model.module, and wrap it afterwards",
    ),
    "a value head": (
        ValueHead,
        "model is test_transformers.ValueHead, but must be a transformers.PreTrainedModel or a peft model of one",
    ),
    "no head": (
        lambda: LlamaModel(LlamaConfig(**SIZES)),
        "model is transformers.LlamaModel, whose forward takes no labels, but must be a causal language model",
    ),
    "a head that is not linear": (
        lambda: with_head(torch.nn.Sequential(torch.nn.Linear(32, V))),
        "lm_head is torch.Sequential, but must be a torch.nn.Linear",
    ),
    "quantised": (
        quantised,
        "lm_head is quantised (int8), but must be of float16, bfloat16, float32 or float64; "
        "leave it out of the quantisation",
    ),
    "without numbers": (
        lambda: model_of().to("meta"),
        "lm_head.weight is on meta, but must have its numbers when use(model) is called",
    ),
    "in use": (in_use, "model is in use already: call undo() of its handle first"),
    "LoRA in the head": (
        lambda: lora("q_proj", "lm_head"),
        "lm_head is peft.Linear, but must be a torch.nn.Linear; leave it out of target_modules and modules_to_save",
    ),
    "a head of the adapter's": (
        lambda: lora("q_proj", modules_to_save=["lm_head"]),
        "lm_head is peft.ModulesToSaveWrapper, but must be a torch.nn.Linear; "
        "leave it out of target_modules and modules_to_save",
    ),
    "a scaling of its own": (
        lambda: Scaled(LlamaConfig(**SIZES)),
        "model is test_transformers.Scaled, whose logits are not its head's with a scaling or softcap of its config "
        "(none that softxent knows): of a tiny batch one is ",
    ),
    "another loss": (
        lambda: Penalised(LlamaConfig(**SIZES)),
        "model is test_transformers.Penalised, whose loss is not the cross-entropy of its shifted labels: "
        "of a tiny batch it is ",
    ),
    "masked classes": (
        lambda: Masked(LlamaConfig(**SIZES)),
        "model is test_transformers.Masked, whose logits are not its head's with a scaling or softcap of its config",
    ),
    "a loss by itself": (
        lambda: Alone(LlamaConfig(**SIZES)),
        "model is test_transformers.Alone, whose forward fails without logits: ",
    ),
}


@pytest.mark.parametrize(("make", "message"), WRONG.values(), ids=WRONG)
def test_refused(make, message):
    torch.manual_seed(0)
    model = make()
    before = isinstance(model, LlamaForCausalLM) and model.device.type != "meta" and state(model)
    with pytest.raises((TypeError, ValueError)) as error:
        use(model)
    assert str(error.value).startswith(message)
    assert message.endswith((" ", "config")) or str(error.value) == message
    if before:
        assert_same(before, state(model))


def test_a_softcap_under_another_name_is_found_out():
    model = model_of("Gemma2, softcap", loud=False)
    model.config.another = model.config.final_logit_softcapping
    use(model).undo()
    forward = type(model).forward

    @wraps(forward)
    def renamed(self, *arguments, **named):
        self.config.final_logit_softcapping = self.config.another
        try:
            return forward(self, *arguments, **named)
        finally:
            self.config.final_logit_softcapping = None

    model.forward, model.config.final_logit_softcapping = MethodType(renamed, model), None
    with pytest.raises(ValueError, match="not its head's"):
        use(model)


def test_a_head_that_is_adapted_later_is_refused_at_the_next_step():
    model = model_of()
    use(model)
    adapted = lora("lm_head", model=model)
    with pytest.raises(TypeError, match=r"lm_head is peft\.Linear"):
        adapted(**batch())


# Beside others --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["use", "peft"])
@pytest.mark.parametrize("name", ["Llama", "Llama, tied"])
def test_lora_beside_the_head(name, first):
    theirs, their_grads = step(lora("q_proj", "v_proj", model=model_of(name)), **batch())
    model = model_of(name)
    if first == "use":
        use(model)
    adapted = lora("q_proj", "v_proj", model=model)
    if first == "peft":
        use(adapted)
    ours, our_grads = step(adapted, **batch())
    assert ours.logits is None
    close(ours.loss, theirs.loss)
    assert our_grads.keys() == their_grads.keys()
    for parameter, grad in their_grads.items():
        close(our_grads[parameter], grad)


def trained(tmp_path, wrap, **more):
    """What Trainer logs at each step, and the weights at the end."""
    model = model_of("GPT-2, tied, dropout")
    if wrap:
        use(model)
    rows = [{key: value[0] for key, value in batch(1, 4 + k % 7, k).items()} for k in range(16)]
    arguments = TrainingArguments(
        tmp_path,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=4,
        max_steps=6,
        learning_rate=1e-2,
        logging_steps=1,
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
        save_strategy="no",
        seed=5,
        **more,
    )
    trainer = Trainer(model, arguments, train_dataset=rows, eval_dataset=rows[:1])
    shapes = head_shapes(model)
    trainer.train()
    assert {shape[-1] for shape in shapes} == ({0} if wrap else {V})
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    return torch.tensor(losses), trainer.evaluate()["eval_loss"], model


def test_trainer_with_gradient_accumulation(tmp_path):
    theirs, their_evaluation, their_model = trained(tmp_path, False)
    ours, our_evaluation, our_model = trained(tmp_path, True)
    assert len(ours) == 6
    close(ours, theirs, 1e-4)
    assert our_evaluation == pytest.approx(their_evaluation, rel=1e-3)
    for name, parameter in their_model.named_parameters():
        close(our_model.get_parameter(name), parameter, 1e-2)


def a_rank(rank, meeting):
    """Gradients of two ranks' batches of different sizes, and of one where a rank has nothing that counts."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    nothing = {**batch(2), "labels": torch.full((2, 12), -100)}
    theirs, ours = model_of("Llama, tied"), model_of("Llama, tied")
    use(ours)
    plain, without_logits = DistributedDataParallel(theirs), DistributedDataParallel(ours)
    for inputs in (batch(2 + rank, 9 + rank, rank), nothing if rank else batch()):
        expected, their_grads = step(plain, **inputs, num_items_in_batch=31)
        outputs, our_grads = step(without_logits, **inputs, num_items_in_batch=31)
        assert outputs.logits is None
        close(outputs.loss, expected.loss)
        for name, grad in their_grads.items():
            close(our_grads[name], grad)
    torch.distributed.barrier()
    os._exit(
        0
    )  # PyTorch may wait for ever where a DistributedDataParallel is freed: its last work needs the GIL for it


def test_two_ranks(tmp_path):
    ranks = torch.multiprocessing.spawn(a_rank, (tmp_path / "meeting",), nprocs=2, join=False, daemon=True)
    assert any(ranks.join(300) for _ in range(2)), "a rank waits for the other"


def test_the_pages_examples():
    failed, tried = doctest.testfile(
        str(ROOT / "docs/transformers.md"),
        module_relative=False,
        optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS,
        encoding="utf-8",
    )
    assert tried
    assert not failed


@pytest.mark.parametrize("package", ["torch", "transformers"])
def test_without_a_package(package):
    code = f"import sys; sys.modules[{package!r}] = None; import softxent.transformers"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    message = f"softxent.transformers needs {package}: pip install '.[transformers]' in a clone of softxent"
    assert done.stderr.endswith(f"ModuleNotFoundError: {message}\n")
