"""The built-in model: tokenizer, architecture, and pretraining that lands where it is told to."""

import math

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen2ForCausalLM

from rlvr.data.arithmetic import generate
from rlvr.errors import UserError
from rlvr.models.pretrain import IGNORED, encode, pretrain, sampled_accuracy
from rlvr.models.tiny import CHARACTERS, build_model, build_tokenizer

SMALL = {"hidden_size": 64, "layers": 1, "heads": 1, "intermediate_size": 128}
RECIPE = {"target_accuracy": 0.5, "max_steps": 200, "batch_size": 64, "learning_rate": 3e-3, "seed": 0}


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


@pytest.fixture(scope="module")
def one_digit_sums():
    return generate(["L1"], ["+"], "train", 60, seed=0, style="bare")


def test_every_character_is_one_token_and_comes_back(tokenizer):
    text = "".join(CHARACTERS) + "12 + 34 , isn't it ?"
    ids = tokenizer(text).input_ids
    assert len(ids) == len(text)
    assert tokenizer.decode(ids) == text


def test_other_characters_are_unknown(tokenizer):
    assert tokenizer("é").input_ids == [tokenizer.unk_token_id]


def test_chat_template_marks_the_turns(tokenizer):
    chat = [{"role": "system", "content": "Add."}, {"role": "user", "content": "1+2"}]
    prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    assert prompt == "<|system|>Add.<|user|>1+2<|assistant|>"
    answered = tokenizer.apply_chat_template([*chat, {"role": "assistant", "content": "3"}], tokenize=False)
    assert answered == prompt + "3" + tokenizer.eos_token
    assert len(tokenizer(prompt).input_ids) == 1 + 4 + 1 + 3 + 1


def test_default_model_is_a_small_qwen2_with_head_size_64(tokenizer):
    model = build_model(tokenizer, hidden_size=128, layers=3, heads=2, intermediate_size=384, seed=0)
    assert isinstance(model, Qwen2ForCausalLM)
    assert sum(weight.numel() for weight in model.parameters()) == 654_080
    assert model.model.layers[0].self_attn.head_dim == 64


def test_weights_depend_on_the_seed_alone(tokenizer):
    state = torch.random.get_rng_state()
    first, again, other = (build_model(tokenizer, **SMALL, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), state)
    weights = [model.model.layers[0].mlp.up_proj.weight for model in (first, again, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_saved_folder_loads_with_the_auto_classes(tokenizer, tmp_path):
    model = build_model(tokenizer, **SMALL, seed=0).eval()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded, loaded_tokenizer = (
        auto.from_pretrained(tmp_path) for auto in (AutoModelForCausalLM, AutoTokenizer)
    )
    chat = [{"role": "user", "content": "12+34"}]
    prompt = loaded_tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
    assert prompt == tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
    assert (loaded_tokenizer.pad_token, loaded_tokenizer.padding_side) == (tokenizer.pad_token, "left")
    with torch.no_grad():
        assert torch.equal(loaded(torch.tensor([prompt])).logits, model(torch.tensor([prompt])).logits)
    assert loaded.generation_config.eos_token_id == loaded_tokenizer.eos_token_id


def test_loss_is_on_the_answer_and_the_end_token_alone(tokenizer):
    encoded = encode(tokenizer, [{"problem": "12+34", "answer": "46"}, {"problem": "1+2", "answer": "3"}])
    assert tokenizer.decode(encoded.ids[1]) == "<|user|>1+2<|assistant|>3<|eos|>" + 3 * "<|pad|>"
    learned = [labels[labels != IGNORED] for labels in encoded.labels]
    assert [tokenizer.decode(labels) for labels in learned] == ["46<|eos|>", "3<|eos|>"]


def test_sampled_accuracy_is_what_sampling_finds(tokenizer, one_digit_sums):
    torch.manual_seed(0)
    model = build_model(tokenizer, **SMALL, seed=0)
    pretrain(
        model, tokenizer, one_digit_sums[:20], one_digit_sums[20:40], **{**RECIPE, "target_accuracy": 0.1}
    )
    problems = one_digit_sums[:20]
    prompts = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": row["problem"]}], add_generation_prompt=True, tokenize=False
        )
        for row in problems
    ]
    output = model.generate(
        **tokenizer(prompts, return_tensors="pt", padding=True, return_token_type_ids=False),
        do_sample=True,
        top_k=0,
        max_new_tokens=4,
        num_return_sequences=200,
    )
    prompt_tokens = output.shape[1] - 4
    texts = tokenizer.batch_decode(output[:, prompt_tokens:], skip_special_tokens=True)
    correct = [text == problems[index // 200]["answer"] for index, text in enumerate(texts)]
    expected = sampled_accuracy(model, encode(tokenizer, problems))
    assert 0.05 < expected < 0.95
    assert abs(sum(correct) / len(correct) - expected) < 4 * math.sqrt(0.25 / len(correct))


def test_pretraining_stops_at_the_first_measurement_that_reaches_the_target(tokenizer, one_digit_sums):
    runs = []
    for _ in range(2):
        model = build_model(tokenizer, **SMALL, seed=0)
        curve = pretrain(
            model, tokenizer, one_digit_sums, one_digit_sums[:30], **{**RECIPE, "target_accuracy": 0.2}
        )
        runs.append((curve, model.state_dict()))
    (first, weights), (again, weights_again) = runs
    assert first[-1]["accuracy"] >= 0.2 > max(row["accuracy"] for row in first[:-1])
    assert [row["step"] for row in first] == list(range(5, 5 * len(first) + 1, 5))
    assert [row["loss"] for row in first] == [row["loss"] for row in again]
    assert all(torch.equal(weights[name], weights_again[name]) for name in weights)


def test_validation_problems_are_not_trained_on(tokenizer, one_digit_sums):
    def losses(problems):
        model = build_model(tokenizer, **SMALL, seed=0)
        recipe = {**RECIPE, "target_accuracy": 0.02}
        return [row["loss"] for row in pretrain(model, tokenizer, problems, one_digit_sums[:30], **recipe)]

    assert losses(one_digit_sums) == losses(one_digit_sums[30:])


def test_unreached_target_is_an_error_that_says_how_far_it_came(tokenizer, one_digit_sums):
    model = build_model(tokenizer, **SMALL, seed=0)
    with pytest.raises(UserError, match=r"accuracy is 0\.\d\d after max_steps = 7, target_accuracy is 0\.9"):
        pretrain(
            model,
            tokenizer,
            one_digit_sums,
            one_digit_sums[:9],
            **{**RECIPE, "max_steps": 7, "target_accuracy": 0.9},
        )


def test_diverging_loss_is_an_error(tokenizer, one_digit_sums):
    model = build_model(tokenizer, **SMALL, seed=0)
    with pytest.raises(UserError, match="not finite; lower learning_rate"):
        pretrain(model, tokenizer, one_digit_sums, one_digit_sums[:9], **{**RECIPE, "learning_rate": 1e30})
