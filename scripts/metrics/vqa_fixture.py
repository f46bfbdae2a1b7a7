#!/usr/bin/env python3
"""Writes crates/vlp-eval/tests/fixtures/vqa.json with the official VQA tool.

Usage: python vqa_fixture.py VQA/PythonEvaluationTools/vqaEvaluation/vqaEval.py
The file is that of the master branch of github.com/GT-Vision-Lab/VQA.
"""
import contextlib
import importlib.util
import io
import json
import pathlib
import random
import sys

FIXTURES = pathlib.Path(__file__).parents[2] / "crates/vlp-eval/tests/fixtures"

TEXTS = [
    "yes", "Yes.", " no\n", "The two dogs", "none", "10", "ten", "1,000", "1,000 - 2", "2.5", "2 . 5", "a.b. c.",
    "dont know", "don't know", "it's", "its", "what's that?", "left/right", "left / right", "red, white", "red,white",
    "blue;green", "(blue)", "( blue )", "t-shirt", "t - shirt", "50%", "$5", "10:30", "10:30 am", "7 o'clock",
    "7 oclock", "somebody'd", "Im", "I'dve", "yall'd've", "couldnt've", "an apple a day", "the", "", "?", "ONE", "a",
    "one two three", "x@y.com", "who's", "whos", "wed've", "AN the A", "café", "naïve!", "...", "." * 40, "3.14.", "tab\there",
    "a_b", "`a`", "\"a\"", "{a}", "<a>", "a\\b", "a=b+c", "[1]", "1,2,3", "1, 2", "a ,b", "1,a", "hello!there", "zero", "nine.ten",
]


class Answers:
    """Stands for the tool's own VQA class: answers by question."""

    def __init__(self, qa):
        self.qa = qa

    def getQuesIds(self):
        return list(self.qa)


def load(path):
    spec = importlib.util.spec_from_file_location("vqaEval", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.VQAEval


def main():
    VQAEval = load(sys.argv[1])
    tool = VQAEval(Answers({}), Answers({}))
    normalize = lambda text: tool.processDigitArticle(tool.processPunctuation(text.replace("\n", " ").replace("\t", " ").strip()))
    texts = TEXTS + sorted(tool.contractions)
    rng = random.Random(0)
    questions = []
    for i in range(300):
        few = rng.sample(TEXTS[:60], rng.choice([1, 2, 3, 5]))
        questions.append({
            "question_id": 1000 + 7 * i,
            "question_type": rng.choice(["how many", "is the", "what"]),
            "answer_type": rng.choice(["yes/no", "number", "other"]),
            "answers": [rng.choice(few) for _ in range(10)],
            "result": rng.choice(few + TEXTS[:60:9]),
        })
    record = lambda q: {**q, "answers": [{"answer": a, "answer_id": n} for n, a in enumerate(q["answers"], 1)]}
    run = VQAEval(Answers({q["question_id"]: record(q) for q in questions}),
                  Answers({q["question_id"]: {"answer": q["result"]} for q in questions}), n=14)
    with contextlib.redirect_stdout(io.StringIO()):
        run.evaluate()
    fixture = {
        "normalized": [[t, normalize(t)] for t in texts],
        "questions": questions,
        "overall": run.accuracy["overall"],
        "by_question_type": run.accuracy["perQuestionType"],
        "by_answer_type": run.accuracy["perAnswerType"],
        "by_question": [run.evalQA[q["question_id"]] for q in questions],
    }
    path = FIXTURES / "vqa.json"
    path.write_text(json.dumps(fixture, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    print(path, path.stat().st_size, "bytes", run.accuracy)


if __name__ == "__main__":
    main()
