"""Rows in the shapes of public reasoning sets, two a shape, with what has to be read from them."""

from __future__ import annotations

import json
from collections.abc import Callable

from source_rows import CHAIN


def chain(n: int, k: int = 0) -> str:
    return f"{CHAIN}\n\nThis was chain {k} of problem {n}."


def said(n: int, k: int = 0) -> str:
    return f"So, by way {k}, the answer is \\boxed{{{n + 5}}}."


def thought(n: int, k: int = 0) -> str:
    return f"<think>\n{chain(n, k)}\n</think>\n\n{said(n, k)}"


def asked(n: int) -> str:
    return f"What is {n} plus five, if {'all' if n else 'some'} is well?"


def prose(n: int) -> str:
    return (
        f"We first note that the sum is what we want. Adding the two numbers we find \\boxed{{{n + 5}}} as was claimed."
    )


def turns(n: int, answer: str | None = None, user: str | None = None, system: str = "") -> list[dict]:
    first = [{"role": "system", "content": system}] if system else []
    answers = [{"role": "user", "content": user or asked(n)}, {"role": "assistant", "content": answer or thought(n)}]
    return [*first, *answers]


def said_turns(n: int, answer: str, names: tuple[str, str], user: str | None = None) -> list[dict]:
    return [{"from": names[0], "value": user or asked(n)}, {"from": names[1], "value": answer}]


def openr1(n: int) -> dict:
    return {
        "problem": asked(n),
        "solution": prose(n),
        "answer": str(n + 5),
        "problem_type": "Algebra",
        "question_type": "math-word-problem",
        "source": "olympiads",
        "uuid": f"0b7f-{n}-aa",
        "is_reasoning_complete": [True, True],
        "generations": [thought(n), thought(n, 1)],
        "correctness_math_verify": [n > 0, True],
        "correctness_llama": None,
        "finish_reasons": None,
        "correctness_count": 1,
        "messages": turns(n, thought(n, 1)),
    }


def open_thoughts(n: int) -> dict:
    text = f"<|begin_of_thought|>\n\n{chain(n)}\n\n<|end_of_thought|>\n\n"
    text += f"<|begin_of_solution|>\n\n{said(n)}\n\n<|end_of_solution|>"
    user = f"Return your final response within \\boxed{{}}. {asked(n)}"
    return {
        "system": "Your role as an assistant involves exploring questions.",
        "conversations": said_turns(n, text, ("user", "assistant"), user),
    }


def metadata(n: int) -> dict:
    return {
        "problem": asked(n),
        "deepseek_reasoning": chain(n),
        "deepseek_solution": said(n),
        "ground_truth_solution": prose(n),
        "domain": "math",
        "source": "numina_math",
        "test_cases": None,
        "starter_code": None,
    }


def s1k(n: int) -> dict:
    return {
        "solution": str(n + 5) if n else prose(n),
        "question": asked(n),
        "cot_type": "math",
        "source_type": "qq8933/AIME_1983_2024",
        "metadata": "{'ID': '1984-1', 'Answer': 336}",
        "cot": None,
        "thinking_trajectories": [chain(n)],
        "attempt": said(n),
    }


def s1k11(n: int) -> dict:
    row = {key: value for key, value in s1k(n).items() if key not in ("thinking_trajectories", "attempt")}
    for k, who in enumerate(("gemini", "deepseek")):
        row |= {f"{who}_thinking_trajectory": chain(n, k), f"{who}_attempt": said(n, k)}
        row |= {f"{who}_grade": "No" if (n, k) == (0, 0) else "Yes", f"{who}_grade_reason": "It is so, because."}
    return row


def multiverse(n: int) -> dict:
    fields = {"uuid": f"m{n}", "problem": asked(n), "solution": str(n + 5), "correctness": "Yes"}
    return fields | {"thinking": chain(n), "output": said(n)}


def limo(n: int) -> dict:
    return {"question": asked(n), "solution": chain(n) + "\n\n" + "Then so.\n\n" * 200 + said(n), "answer": n + 5}


def open_math(n: int) -> dict:
    return {
        "expected_answer": str(n + 5),
        "problem_type": "has_answer_extracted",
        "problem_source": "aops_c6",
        "generation_model": "DeepSeek-R1",
        "pass_rate_72b_tir": "0.96875",
        "problem": asked(n),
        "generated_solution": thought(n),
        "inference_mode": "cot",
        "used_in_kaggle": True,
    }


def deep_math(n: int) -> dict:
    row = {"question": asked(n), "final_answer": str(n + 5), "difficulty": 5.5, "topic": "Algebra -> Sums"}
    return row | {f"r1_solution_{k + 1}": f"{chain(n, k)}\n</think>\n\n{said(n, k)}" for k in range(3)}


def synthetic1(n: int) -> dict:
    return {
        "task_type": "verifiable_math",
        "prompt": asked(n),
        "llm_response": thought(n),
        "gold_standard_solution": prose(n),
        "score": float(n > 0),
        "response_id": f"vfm_{n}",
        "verification_info": json.dumps({"ground_truth": str(n + 5)}),
    }


def synthetic2(n: int) -> dict:
    row = {"prompt": asked(n), "task_type": "math"}
    for k, who in enumerate(("qwen3_32b", "r1_0528")):
        row |= {f"{who}_responses": [thought(n, 2 * k), thought(n, 2 * k + 1)], f"{who}_avg_reward": 1.0 if k else 0.5}
    return row


def nemotron1(n: int) -> dict:
    on = n != 1
    return {
        "input": [{"role": "user", "content": asked(n)}],
        "output": thought(n) if on else said(n),
        "category": "math",
        "reasoning": "on" if on else "off",
        "generator": "DeepSeek-R1",
        "license": "cc-by-4.0",
        "system_prompt": "detailed thinking on" if on else "detailed thinking off",
        "used_in_training": "yes",
    }


def nemotron2(n: int) -> dict:
    on = n != 1
    fields = {"uuid": f"n{n}", "license": "cc-by-4.0", "generator": "R1", "category": "math"}
    return fields | {"reasoning": "on" if on else "off", "messages": turns(n, None if on else said(n), system=" ")}


def am(n: int) -> dict:
    about = {"source": "natural_reasoning", "reference_answer": str(n + 5), "think_content": None}
    answer = {"think_content": chain(n), "answer_content": said(n), "reference_answer": None}
    content = f"<think>\n{chain(n)}\n</think>\n<answer>\n{said(n)}\n</answer>"
    asked_turn = {"role": "user", "content": asked(n), "info": about}
    return {"messages": [asked_turn, {"role": "assistant", "content": content, "info": answer}]}


def multilingual(n: int) -> dict:
    first = {"role": "system", "content": "reasoning language: French", "thinking": None}
    user = {"role": "user", "content": asked(n), "thinking": None}
    last = {"role": "assistant", "content": said(n), "thinking": chain(n)}
    row = {"reasoning_language": "French", "developer": "You are an AI chatbot.", "user": asked(n)}
    return row | {"analysis": chain(n), "final": said(n), "messages": [first, user, last]}


def answered(n: int) -> list:
    return [str(n + 5)]


SHAPES: dict[str, tuple[Callable[[int], dict], list[list[bool | None]], bool]] = {
    # name: the rows, the marks of the chains of each row, whether there is a reference
    "OpenR1-Math": (openr1, [[False, True], [True, True]], True),
    "Mixture-of-Thoughts": (lambda n: {"messages": turns(n), "num_tokens": 9, "source": "x"}, [[None]] * 2, False),
    "OpenThoughts": (open_thoughts, [[None]] * 2, False),
    "OpenThoughts metadata": (metadata, [[None]] * 2, True),
    "OpenThoughts2": (
        lambda n: {
            "conversations": said_turns(n, thought(n), ("user", "assistant")),
            "question": asked(n),
            "source": "math",
            "id": n,
        },
        [[None]] * 2,
        False,
    ),
    "OpenThoughts3": (
        lambda n: {
            "difficulty": 7,
            "source": "ai2-adapt",
            "domain": "math",
            "conversations": said_turns(n, thought(n), ("human", "gpt")),
        },
        [[None]] * 2,
        False,
    ),
    "s1K": (s1k, [[None]] * 2, True),
    "s1K-1.1": (s1k11, [[False, True], [True, True]], True),
    "Multiverse": (multiverse, [[True]] * 2, True),
    "LIMO": (limo, [[None]] * 2, True),
    "OpenMathReasoning": (open_math, [[None]] * 2, True),
    "DeepMath": (deep_math, [[None] * 3] * 2, True),
    "SYNTHETIC-1": (synthetic1, [[False], [True]], True),
    "SYNTHETIC-1-SFT": (lambda n: {"messages": turns(n), "score": 1.0, "task_type": "m"}, [[True]] * 2, False),
    "SYNTHETIC-2": (synthetic2, [[None, None, True, True]] * 2, False),
    "Nemotron v1.1": (nemotron1, [[None], []], False),
    "Nemotron v2": (nemotron2, [[None], []], False),
    "AM-DeepSeek-R1": (am, [[None]] * 2, True),
    "glaive": (lambda n: {"prompt": asked(n), "response": thought(n)}, [[None]] * 2, False),
    "Multilingual-Thinking": (multilingual, [[None]] * 2, False),
}
