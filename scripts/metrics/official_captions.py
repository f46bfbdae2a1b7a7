"""Tokens and scores of captions by pycocoevalcap."""
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer


def tokenize(captions):
    """Lists of captions to lists of strings of tokens joined by spaces."""
    records = {i: [{"caption": c} for c in group] for i, group in enumerate(captions)}
    tokens = PTBTokenizer().tokenize(records)
    return [tokens[i] for i in range(len(captions))]


def scores(pairs):
    """BLEU-1..4, ROUGE-L and CIDEr of [{"hypothesis", "references"}]."""
    gts = dict(enumerate(tokenize([p["references"] for p in pairs])))
    res = dict(enumerate(tokenize([[p["hypothesis"]] for p in pairs])))
    return {
        "bleu": [float(b) for b in Bleu(4).compute_score(gts, res, verbose=0)[0]],
        "rouge_l": float(Rouge().compute_score(gts, res)[0]),
        "cider_d": float(Cider().compute_score(gts, res)[0]),
    }
